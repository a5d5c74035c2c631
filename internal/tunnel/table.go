package tunnel

import (
	"errors"
	"sync"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
)

// Errors of the table.
var (
	// ErrTaken reports a tunnel ID that is in use at this router.
	ErrTaken = errors.New("tunnel: ID in use")
	// ErrTableFull reports that the router receives for as many tunnels as
	// it may.
	ErrTableFull = errors.New("tunnel: too many tunnels")
)

// Receiver is our end of one tunnel: a hop we are for others, or the endpoint
// of a tunnel of ours. Its methods are called in rounds, by several at once.
type Receiver interface {
	// TunnelData takes a tunnel message from the router before us. It is lent
	// for the round and may be changed.
	TunnelData(r *host.Round, from data.Hash, message i2np.TunnelData)
	// TunnelGateway takes an I2NP message, with its standard header and
	// unchecked, that is to enter the tunnel here. The bytes are lent for the
	// round. A message from one of our own tunnels has our own hash.
	TunnelGateway(r *host.Round, from data.Hash, message []byte)
	// Class is whom the tunnel serves.
	Class() bandwidth.Class
}

// Table maps the tunnel IDs we receive under to what receives. Safe for
// concurrent use.
type Table struct {
	max int

	mu sync.RWMutex
	// receivers has a nil entry for an ID reserved by NewID.
	receivers map[ID]Receiver
}

// NewTable makes an empty table. Add refuses when max IDs are in use.
func NewTable(max int) *Table {
	return &Table{max: max, receivers: make(map[ID]Receiver)}
}

// Lookup finds the receiver of a tunnel.
func (t *Table) Lookup(id ID) (Receiver, bool) {
	t.mu.RLock()
	r := t.receivers[id]
	t.mu.RUnlock()
	return r, r != nil
}

// Add enters a receiver under an ID that somebody else chose. It fails with
// ErrTaken, which happens to honest requests too, and with ErrTableFull.
func (t *Table) Add(id ID, r Receiver) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.receivers[id]; taken || id == 0 {
		return ErrTaken
	}
	if len(t.receivers) >= t.max {
		return ErrTableFull
	}
	t.receivers[id] = r
	return nil
}

// NewID reserves a random unused ID for a tunnel of our own, however full the
// table is. Until Enter its messages find no receiver. Remove gives it back.
func (t *Table) NewID() ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		id := ID(random.Nonzero32())
		if _, taken := t.receivers[id]; !taken {
			t.receivers[id] = nil
			return id
		}
	}
}

// Enter gives an ID from NewID its receiver.
func (t *Table) Enter(id ID, r Receiver) {
	t.mu.Lock()
	t.receivers[id] = r
	t.mu.Unlock()
}

// Remove forgets an ID. Removing one that is not there does nothing.
func (t *Table) Remove(id ID) {
	t.mu.Lock()
	delete(t.receivers, id)
	t.mu.Unlock()
}

// Len is how many IDs are in use, reserved ones included.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.receivers)
}
