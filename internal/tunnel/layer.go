package tunnel

import (
	"allium/internal/aesbatch"
	"allium/internal/i2np"
)

// Keys are the AES-256 keys of one hop of one tunnel.
type Keys struct {
	Layer [32]byte // of the data
	IV    [32]byte // of the IV, before and after
}

// Layer is what one hop does to the messages of one tunnel: its Keys,
// expanded. It never changes and is made once for the life of a tunnel.
type Layer struct {
	iv, data *aesbatch.Key
}

// NewLayer expands the keys.
func NewLayer(k *Keys) Layer {
	return Layer{iv: aesbatch.NewKey(&k.IV), data: aesbatch.NewKey(&k.Layer)}
}

// job is the work on one tunnel message.
func (l Layer) job(message i2np.TunnelData) aesbatch.Job {
	return aesbatch.Job{IV: l.iv, Data: l.data, Message: message.Payload()}
}

// Layers are the layers of all remote hops of a tunnel of ours, MaxHops at
// most, in the order messages travel.
type Layers []Layer

// MaxHops is how many remote hops a tunnel may have.
const MaxHops = 7

// Batch gathers layer encryption of one round, so that messages of whatever
// tunnels are worked on side by side. Messages are changed in place, from
// their IV on; the tunnel ID before it stays for whoever sends the message to
// write. They must not overlap and must stay as they are until Run. A Batch used
// again allocates nothing.
type Batch struct {
	encrypt []aesbatch.Job
	// decrypt holds at [i] the i-th step of each message: its hops come one
	// after another, but a step is independent of the same step of others.
	decrypt [MaxHops][]aesbatch.Job
}

// Encrypt adds what a hop does: gateways of inbound tunnels, participants and
// endpoints of outbound tunnels alike.
func (b *Batch) Encrypt(l Layer, message i2np.TunnelData) {
	b.encrypt = append(b.encrypt, l.job(message))
}

// Decrypt adds what the creator of a tunnel does: to a message of its
// outbound tunnel, so that the hops' encryption brings the plain message out
// at the endpoint, and to one that came through its inbound tunnel. Both undo
// the last hop first. A tunnel without remote hops changes nothing.
func (b *Batch) Decrypt(hops Layers, message i2np.TunnelData) {
	for step := range hops {
		hop := hops[len(hops)-1-step]
		b.decrypt[step] = append(b.decrypt[step], hop.job(message))
	}
}

// Len is how many messages wait for Run, without those of tunnels that have
// no hops.
func (b *Batch) Len() int { return len(b.encrypt) + len(b.decrypt[0]) }

// Run does all that was added and empties the batch.
func (b *Batch) Run() {
	aesbatch.Encrypt(b.encrypt)
	b.encrypt = emptied(b.encrypt)
	for step := range b.decrypt {
		aesbatch.Decrypt(b.decrypt[step])
		b.decrypt[step] = emptied(b.decrypt[step])
	}
}

// emptied drops the references to messages and keys but keeps the room.
func emptied(jobs []aesbatch.Job) []aesbatch.Job {
	clear(jobs)
	return jobs[:0]
}
