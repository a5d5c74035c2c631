package host

// UsePlainSockets has p work without direct system calls, as on systems that
// have none.
func UsePlainSockets(p *Portable) { p.plain = true }
