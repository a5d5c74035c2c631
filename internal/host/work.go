package host

// Spawn implements [Host].
func (p *Portable) Spawn(f func(r *Round)) bool {
	select {
	case <-p.quit:
		return false
	default:
	}
	select {
	case p.work <- f:
		return true
	default:
		return false
	}
}

// worker does spawned work until the engine closes.
func (p *Portable) worker() {
	defer p.leave()
	for {
		select {
		case <-p.quit:
			return
		case f := <-p.work:
			select {
			case <-p.quit:
				return
			default:
			}
			p.run(f)
		}
	}
}
