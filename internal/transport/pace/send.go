package pace

import (
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
)

// Take gives how many bytes of each class a session may seal now, of those it
// wants. When it gets less than that its turn will come: MaySend is called.
// What belongs to [bandwidth.Control] is never held back. Settle follows.
func (p *Pacer) Take(now time.Time, at *Place, want bandwidth.Bytes) bandwidth.Bytes {
	if !p.limiter.Limited(bandwidth.Out) {
		return want
	}
	got := bandwidth.Bytes{bandwidth.Control: want[bandwidth.Control]}
	for _, i := range [...]int{sendOwn, sendTransit} {
		c := class(i)
		if want[c] > 0 {
			got[c] = p.take(now, i, at, want[c])
		}
	}
	return got
}

// take is Take for one line. Nobody goes before those who wait.
func (p *Pacer) take(now time.Time, i int, at *Place, want int) (got int) {
	p.mu.Lock()
	free := p.lines[i].empty()
	p.mu.Unlock()
	if free {
		got = p.limiter.Take(now, bandwidth.Out, class(i), want)
	}
	if got < want {
		p.mu.Lock()
		p.wait(i, at)
		p.mu.Unlock()
	}
	return got
}

// Settle tells what a session has sealed after it took. Without limits nothing
// was taken.
func (p *Pacer) Settle(now time.Time, at *Place, took, used bandwidth.Bytes) {
	at.passed(now, used)
	if !p.limiter.Limited(bandwidth.Out) {
		took = bandwidth.Bytes{}
	}
	took[bandwidth.Control] = 0 // nor of this
	if none := (bandwidth.Bytes{}); took != none || used != none {
		p.limiter.Settle(now, bandwidth.Out, took, used)
	}
}

// serveSend gives those in a line a turn each, and again, until there is
// nothing left for them.
func (p *Pacer) serveSend(r *host.Round, i int) {
	for {
		p.mu.Lock()
		empty := p.lines[i].empty()
		p.mu.Unlock()
		if empty {
			return
		}
		n := p.limiter.Take(r.Now, bandwidth.Out, class(i), p.quantum[bandwidth.Out])
		if n == 0 {
			return
		}
		at := p.next(i)
		if at == nil {
			var took bandwidth.Bytes
			took[class(i)] = n
			p.limiter.Settle(r.Now, bandwidth.Out, took, bandwidth.Bytes{})
			return
		}
		at.session.MaySend(r, class(i), n)
	}
}

// next takes the first out of a line, nil when all have left it.
func (p *Pacer) next(i int) *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lines[i].empty() {
		return nil
	}
	at := p.lines[i].pop()
	at.waits[i] = false
	return at
}
