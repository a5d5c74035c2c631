package streaming

import "time"

// Config bounds the streams of one Destination.
type Config struct {
	// MaxWindow is the most packets a stream has under way.
	MaxWindow int `default:"128" min:"1" max:"512" help:"Most packets one stream has under way."`
	// MaxStreams bounds how many streams exist at a time.
	MaxStreams int `default:"4096" min:"1" max:"1000000" help:"Most streams at a time."`
	// MaxPerPeer bounds how many of them one peer may open.
	MaxPerPeer int `default:"256" min:"1" max:"1000000" help:"Most streams one peer may open."`
	// Backlog bounds how many streams wait to be accepted at one port.
	Backlog int `default:"128" min:"1" max:"65536" help:"Most streams that wait to be accepted at one port."`
	// AnswerPings tells whether pings are answered.
	AnswerPings bool `default:"true" help:"Answer pings."`
	// ConnectTimeout bounds opening a stream.
	ConnectTimeout time.Duration `default:"60s" min:"1s" max:"10m" help:"Longest wait for a stream to open."`
}
