package crowd

import (
	"bytes"
	"log/slog"

	"allium/internal/data"
	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/streaming"
	"allium/internal/tunnel/pool"
)

// Site is a Destination with streams on a node. It may serve a page, fetch
// those of others, or both.
type Site struct {
	Node    *Node
	dest    *destination.Destination
	streams *streaming.Streams
	ready   bool
}

// Hops is tunnels with so many hops, so many each way.
func Hops(length, quantity int) pool.Config {
	d := pool.Direction{Length: length, Quantity: quantity}
	return pool.Config{Inbound: d, Outbound: d}
}

// Open brings a Destination up on the node.
func (nd *Node) Open(tunnels pool.Config) *Site {
	nd.net.TB.Helper()
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		nd.net.TB.Fatal(err)
	}
	s := &Site{Node: nd}
	var cfg streaming.Config
	setting.Defaults(&cfg)
	s.streams = streaming.New(cfg, nd.host, streaming.Local{Destination: keys.Destination, Key: keys.Signing}, s.send)
	nd.host.Do(func(r *host.Round) {
		s.dest = destination.Open(r, nd.Router, destination.Config{Name: "site", Tunnels: tunnels}, keys, (*incoming)(s), nd.host.Logger(slog.LevelInfo))
	})
	return s
}

// Ready tells that the Destination can be reached and can send.
func (s *Site) Ready() bool { return s.ready }

// Hash names the Destination.
func (s *Site) Hash() data.Hash { return s.dest.Hash() }

func (s *Site) send(r *host.Round, to data.Hash, fromPort, toPort uint16, payload []byte) error {
	return s.dest.Send(r, to, destination.Message{
		Protocol: destination.ProtocolStreaming, FromPort: fromPort, ToPort: toPort, Payload: payload,
	})
}

// incoming is the site as its Destination sees it.
type incoming Site

// Message implements destination.Handler.
func (s *incoming) Message(r *host.Round, from destination.Sender, m destination.Message) {
	if m.Protocol == destination.ProtocolStreaming {
		_ = s.streams.Receive(r, streaming.Sender(from), m.FromPort, m.ToPort, m.Payload)
	}
}

// Ready implements destination.Handler.
func (s *incoming) Ready(_ *host.Round, ready bool) { s.ready = ready }

// Page is what sites answer with.
var Page = bytes.Repeat([]byte("a page of some twenty kilobytes\n"), 640)

// Serve answers each stream to port 80 with the page.
func (s *Site) Serve() *Site {
	s.Node.net.TB.Helper()
	_, err := s.streams.Accept(80, func(_ *host.Round, stream *streaming.Stream) func(r *host.Round) {
		a := &answering{stream: stream, left: Page}
		return a.work
	})
	if err != nil {
		s.Node.net.TB.Fatal(err)
	}
	return s
}

// answering is one stream that a site answers.
type answering struct {
	stream  *streaming.Stream
	request []byte
	left    []byte
}

// work reads the request to its end and writes what there is room for.
func (a *answering) work(r *host.Round) {
	buf := make([]byte, 512)
	for {
		n, err := a.stream.Read(r, buf)
		a.request = append(a.request, buf[:n]...)
		if n == 0 || err != nil {
			break
		}
	}
	if !bytes.HasSuffix(a.request, []byte("\n")) {
		return
	}
	for len(a.left) > 0 {
		n, err := a.stream.Write(r, a.left)
		if n == 0 || err != nil {
			return
		}
		a.left = a.left[n:]
	}
	a.stream.Close(r)
}

// Find looks for the LeaseSet of another Destination.
func (s *Site) Find(to data.Hash, done func(r *host.Round, err error)) {
	s.Node.host.Do(func(r *host.Round) { s.dest.Resolve(r, to, done) })
}

// Close gives the Destination up.
func (s *Site) Close() { s.Node.host.Do(s.dest.Close) }
