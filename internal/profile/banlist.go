package profile

import (
	"slices"
	"strings"
	"time"

	"allium/internal/data"
)

const (
	// maxBans bounds the memory; beyond it those that end first end at once.
	maxBans = 16384
	// maxReason is how many bytes of a reason are kept.
	maxReason = 200
)

// ban is why and until when we have nothing to do with a peer.
type ban struct {
	until  time.Time
	reason string
}

// Ban shuts a peer out until the given time. The reason is for people, at
// most 200 bytes of it. A ban that ends later stays as it is.
func (p *Profiles) Ban(h data.Hash, reason string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, ok := p.bans[h]; ok && !until.After(b.until) {
		return
	}
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	p.bans[h] = ban{until, reason}
	p.dirty[banKey(h)] = struct{}{}
	if len(p.bans) > maxBans {
		p.trimBans()
	}
}

// Unban ends a ban, if there is one.
func (p *Profiles) Unban(h data.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.bans[h]; ok {
		p.unban(h)
	}
}

// Banned reports whether a peer is banned.
func (p *Profiles) Banned(now time.Time, h data.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.banned(now, h)
}

func (p *Profiles) banned(now time.Time, h data.Hash) bool {
	b, ok := p.bans[h]
	return ok && b.until.After(now)
}

func (p *Profiles) unban(h data.Hash) {
	delete(p.bans, h)
	p.dirty[banKey(h)] = struct{}{}
}

// trimBans ends the eighth of the bans that end first.
func (p *Profiles) trimBans() {
	all := sortedKeys(p.bans)
	slices.SortStableFunc(all, func(a, b data.Hash) int { return p.bans[a].until.Compare(p.bans[b].until) })
	for _, h := range all[:maxBans/8] {
		p.unban(h)
	}
}

// Banishment is one ban.
type Banishment struct {
	Hash   data.Hash
	Reason string
	Until  time.Time
}

// Bans lists the bans that have not ended, in the order of the hashes.
func (p *Profiles) Bans(now time.Time) []Banishment {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Banishment
	for _, h := range sortedKeys(p.bans) {
		if b := p.bans[h]; b.until.After(now) {
			list = append(list, Banishment{h, b.reason, b.until})
		}
	}
	return list
}
