package destination

// Codec is the codec of payloads, for its tests.
type Codec struct{ c *codec }

// NewCodec makes one.
func NewCodec(compress bool) Codec { return Codec{newCodec(compress)} }

// Append appends m in its wrapping.
func (c Codec) Append(b []byte, m Message) []byte { return c.c.append(b, m) }

// Parse unwraps a message.
func (c Codec) Parse(b []byte) (Message, error) { return c.c.parse(b) }

// Limits that tests go beyond.
const (
	MaxInflated    = maxInflated
	MaxQueued      = maxQueued
	MaxQueuedBytes = maxQueuedBytes
	MaxPeers       = maxPeers
)

// Peers is how many peers are known, and how many of them by a key.
func (d *Destination) Peers() (all, keys int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.peers.byHash), len(d.peers.byKey)
}
