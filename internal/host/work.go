package host

// Spawn implements [Host].
func (p *Portable) Spawn(f func(r *Round)) bool { return p.leaveWork(p.own, f) }

// Serve implements [Host].
func (p *Portable) Serve(f func(r *Round)) bool { return p.leaveWork(p.others, f) }

// leaveWork puts work into a queue.
func (p *Portable) leaveWork(queue chan<- func(r *Round), f func(r *Round)) bool {
	select {
	case <-p.quit:
		return false
	default:
	}
	select {
	case queue <- f:
		return true
	default:
		return false
	}
}

// worker does the work of both queues until the engine closes.
func (p *Portable) worker() {
	defer p.leave()
	for {
		f, ok := p.nextWork()
		if !ok {
			return
		}
		p.run(f)
	}
}

// nextWork waits for work. What Spawn was given goes first.
func (p *Portable) nextWork() (f func(r *Round), ok bool) {
	select {
	case <-p.quit:
		return nil, false
	case f = <-p.own:
	default:
		select {
		case <-p.quit:
			return nil, false
		case f = <-p.own:
		case f = <-p.others:
		}
	}
	select {
	case <-p.quit:
		return nil, false
	default:
		return f, true
	}
}
