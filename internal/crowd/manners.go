package crowd

import (
	"slices"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel/build"
)

// take does with a message what the fake's manners are.
func (f *Fake) take(r *host.Round, m i2np.Message) {
	switch m.Type {
	case i2np.TypeShortTunnelBuild:
		if f.Builds != Silence {
			f.refuse(r, m)
		}
	case i2np.TypeDatabaseStore:
		if s, err := i2np.ParseDatabaseStore(m.Body); err == nil && f.Acks && s.ReplyToken != 0 {
			f.confirm(r, s)
		}
	case i2np.TypeDatabaseLookup:
		if l, err := i2np.ParseDatabaseLookup(m.Body); err == nil && f.Names != nil {
			f.deny(r, l)
		}
	case i2np.TypeGarlic:
		f.open(r, m)
	}
}

// open takes what is sealed for its key: stores, lookups and requests for
// tunnels come like that through tunnels.
func (f *Fake) open(r *host.Round, m i2np.Message) {
	g, err := i2np.ParseGarlic(m.Body)
	if err != nil || f.Builds == Silence && !f.Acks && f.Names == nil {
		return
	}
	cloves, err := garlic.OpenRouter(r.Now, &f.keys.Encryption, f.garlics, slices.Clone(g.Data))
	if err != nil {
		return
	}
	for _, c := range cloves {
		if c.Kind == garlic.Local && c.Message.Type != i2np.TypeGarlic {
			f.take(r, c.Message)
		}
	}
}

// confirm acknowledges a store.
func (f *Fake) confirm(r *host.Round, s i2np.DatabaseStore) {
	status := i2np.DeliveryStatus{ID: s.ReplyToken, Time: r.Now}.Append(nil)
	f.reply(r, s.ReplyGateway, s.ReplyTunnel, i2np.Message{Type: i2np.TypeDeliveryStatus, Body: status})
}

// deny answers that there is no such entry, and names others to ask.
func (f *Fake) deny(r *host.Round, l i2np.DatabaseLookup) {
	named := slices.DeleteFunc(f.Names(l.Key), func(h data.Hash) bool { return slices.Contains(l.Excluded, h) })
	reply := i2np.DatabaseSearchReply{Key: l.Key, Peers: named, From: f.Hash()}
	m := i2np.Message{Type: i2np.TypeDatabaseSearchReply, Body: reply.Append(nil)}
	if l.ReplyKey != nil && l.ReplyTag != nil {
		m.ID, m.Expiration = random.Nonzero32(), r.Now.Add(messageLife)
		sealed := garlic.SealOnce(l.ReplyKey, *l.ReplyTag, garlic.Clove{Message: m})
		m = i2np.Message{Type: i2np.TypeGarlic, Body: i2np.Garlic{Data: sealed}.Append(nil)}
	}
	f.reply(r, l.From, l.ReplyTunnel, m)
}

// reply sends an answer to a router or into a tunnel.
func (f *Fake) reply(r *host.Round, to data.Hash, id uint32, m i2np.Message) {
	if id != 0 {
		m.ID, m.Expiration = random.Nonzero32(), r.Now.Add(messageLife)
		g := i2np.TunnelGateway{TunnelID: id, Message: m.AppendStandard(nil)}
		m = i2np.Message{Type: i2np.TypeTunnelGateway, Body: g.Append(nil)}
	}
	f.send(r, to, m.Type, random.Nonzero32(), m.Body)
}

// refuse refuses a request for a tunnel, and passes it on as a hop does.
func (f *Fake) refuse(r *host.Round, m i2np.Message) {
	records, err := i2np.ParseShortTunnelBuild(m.Body)
	if err != nil {
		return
	}
	records = slices.Clone(records)
	q, err := build.Open(f.Hash(), &f.keys.Encryption, records)
	if err != nil {
		return
	}
	q.Answer(records, build.Refuse)
	if q.Role != build.OutboundEndpoint {
		f.send(r, q.NextRouter, i2np.TypeShortTunnelBuild, q.NextMessageID, records)
		return
	}
	answer := i2np.Message{
		Type: i2np.TypeOutboundTunnelBuildReply, ID: q.NextMessageID,
		Expiration: r.Now.Add(messageLife), Body: records,
	}
	key, tag := q.ReplyKey()
	sealed := garlic.SealOnce(&key, tag, garlic.Clove{Message: answer})
	f.reply(r, q.NextRouter, uint32(q.Next), i2np.Message{Type: i2np.TypeGarlic, Body: i2np.Garlic{Data: sealed}.Append(nil)})
}
