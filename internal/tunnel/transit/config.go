package transit

// Config is how much we do for others.
type Config struct {
	Accept      bool `default:"true" help:"Carry tunnels for others. Their traffic also hides one's own."`
	MaxTunnels  int  `default:"10000" min:"0" max:"100000" unit:"tunnels" help:"How many tunnels of others to carry at a time. Each takes some 3 KB of memory." restart:"true"`
	RequestRate int  `default:"200" min:"1" max:"10000" unit:"requests per second" help:"How many requests for a tunnel to answer. Each takes about a tenth of a millisecond of one processor core." restart:"true"`
}
