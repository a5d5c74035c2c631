package setting_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"allium/internal/setting"

	"github.com/google/go-cmp/cmp"
)

// level is a type that reads its own text.
type level int

func (l level) MarshalText() ([]byte, error) {
	return []byte([]string{"low", "high"}[l]), nil
}

func (l *level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "low":
		*l = 0
	case "high":
		*l = 1
	default:
		return errors.New("it must be low or high")
	}
	return nil
}

type proxy struct {
	Enabled bool           `default:"true" help:"Whether to listen at all." restart:"true"`
	Port    uint16         `default:"4444" min:"1" help:"Port to listen on."`
	Bind    netip.Addr     `default:"127.0.0.1" help:"Address to listen on."`
	Idle    time.Duration  `default:"90s" min:"1s" max:"2h" help:"How long an idle client may stay."`
	Cache   setting.Size   `default:"20MB" max:"1 GiB" help:"Memory for pages."`
	Via     netip.AddrPort `help:"A proxy of its own, empty for none."`
}

type tunnel struct {
	Name   string `name:"true"`
	Target string `help:"Where to connect to, such as web|mail."`
	Hops   int    `default:"3" min:"0" max:"7" unit:"hops" help:"Length."`
	TLS    struct {
		Verify bool `default:"true" help:"Whether to check."`
	} `help:"Encryption on top."`
}

type config struct {
	Rate      setting.Bandwidth `default:"256" min:"32 KB/s" help:"What to use."`
	Share     float64           `default:"0.8" min:"0" max:"1" help:"Part of it for others."`
	Mode      string            `default:"fair" choices:"fair,fast" help:"What to favour for ${HOME}."`
	Level     level             `default:"high" help:"How much to say."`
	Jumps     []string          `default:"a.i2p, b.i2p" help:"Where to ask for unknown names."`
	Ports     []int             `min:"1" max:"65535" help:"Ports to skip."`
	HTTPProxy proxy             `help:"The proxy for browsers."`
	Router    struct {
		I2NPLimit int64 `default:"-5" help:"A limit."`
		IPv6Only  bool  `help:"Leave IPv4 out."`
	} `help:"The router." restart:"true"`
	Tunnels []tunnel `help:"One table for each tunnel."`
}

func load(t *testing.T, file string) config {
	t.Helper()
	var c config
	if err := setting.Load(&c, []byte(file), nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func lookup(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, ok := vars[name]
		return text, ok
	}
}

func TestDefaultsComeFromTheTags(t *testing.T) {
	c := config{Tunnels: []tunnel{{Name: "old"}}}
	setting.Defaults(&c)
	want := config{Rate: 256_000, Share: 0.8, Mode: "fair", Level: 1, Jumps: []string{"a.i2p", "b.i2p"}, Ports: []int{}}
	want.HTTPProxy = proxy{
		Enabled: true, Port: 4444, Bind: netip.MustParseAddr("127.0.0.1"), Idle: 90 * time.Second, Cache: 20e6,
	}
	want.Router.I2NPLimit = -5
	diff(t, c, want)
}

func TestFileOverridesDefaults(t *testing.T) {
	c := load(t, "\ufeff"+`
rate = 512             # KB/s without a unit
share = 1              # a whole number is a number
jumps = []
ports = [1, 0x50]
level = "low"
router.ipv6_only = true
http_proxy = { port = 8080, idle = "1m30s", bind = "::1" }

[tunnels.web]
target = "127.0.0.1:80"
[tunnels.irc]
tls.verify = false
[tunnels.web.tls]
verify = true
`)
	var want config
	setting.Defaults(&want)
	want.Rate, want.Share, want.Level = 512_000, 1, 0
	want.Jumps, want.Ports = []string{}, []int{1, 80}
	want.Router.IPv6Only = true
	want.HTTPProxy.Port, want.HTTPProxy.Bind = 8080, netip.MustParseAddr("::1")
	web, irc := tunnel{Name: "web", Target: "127.0.0.1:80", Hops: 3}, tunnel{Name: "irc", Hops: 3}
	web.TLS.Verify = true
	want.Tunnels = []tunnel{web, irc}
	diff(t, c, want)
}

func TestEnvironmentOverridesFile(t *testing.T) {
	var c config
	env := lookup(map[string]string{
		"HTTP_PROXY_PORT": "1", "JUMPS": "x,y", "TUNNELS_WEB_2_HOPS": "7", "TUNNELS_NEW_HOPS": "7",
	})
	if err := setting.Load(&c, []byte("[http_proxy]\nport = 2\n[tunnels.web-2]\n"), env); err != nil {
		t.Fatal(err)
	}
	if c.HTTPProxy.Port != 1 || !reflect.DeepEqual(c.Jumps, []string{"x", "y"}) || len(c.Tunnels) != 1 || c.Tunnels[0].Hops != 7 {
		t.Errorf("got %+v", c)
	}
}

// TestErrorsAreSentences has one wrong file a row and what the user is told.
func TestErrorsAreSentences(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"\n\n[http_proxy]\nport = 70000", "config line 4: http_proxy.port: 70000 is not between 1 and 65535"},
		{"http_proxy = {\n port = 0}", "config line 2: http_proxy.port: 0 is not between 1 and 65535"},
		{"http_proxy.port = -1", "config line 1: http_proxy.port: -1 is not between 1 and 65535"},
		{"http_proxy.port = \"eighty\"", `config line 1: http_proxy.port: "eighty" is not a whole number`},
		{"http_proxy.port = 99999999999999999999", "config line 1, column 19: decimal number is too large to fit in a 64-bit signed integer"},
		{"http_proxy.port = [1]", "config line 1: http_proxy.port: this takes one value, not a list"},
		{"http_proxy.port.x = 1", "config line 1: http_proxy.port: this takes one value, not a table"},
		{"http_proxy.port = 1979-05-27", "config line 1: http_proxy.port: dates and times need quotes"},
		{"http_proxy.enabled = 1979", `config line 1: http_proxy.enabled: "1979" is neither true nor false`},
		{"http_proxy.bind = \"localhost\"", `config line 1: http_proxy.bind: "localhost" is not an IP address`},
		{"http_proxy.via = \"a:1\"", `config line 1: http_proxy.via: "a:1" is not an IP address and port such as 127.0.0.1:4444`},
		{"http_proxy.idle = 90", `config line 1: http_proxy.idle: "90" is not a duration such as 90s, 10m or 2d`},
		{"http_proxy.idle = \"3h\"", "config line 1: http_proxy.idle: 3h is not between 1s and 2h"},
		{"http_proxy.cache = \"2 GB\"", "config line 1: http_proxy.cache: 2 GB is more than 1 GiB"},
		{"rate = \"31\"", "config line 1: rate: 31 is less than 32 KB/s"},
		{"router.i2np_limit = \"9223372036854775808\"", "config line 1: router.i2np_limit: 9223372036854775808 is not between -9223372036854775808 and 9223372036854775807"},
		{"share = nan", `config line 1: share: "NaN" is not a number`},
		{"mode = \"slow\"", `config line 1: mode: "slow" is not one of fair, fast`},
		{"mode = 1.10", "config line 1: mode: 1.1 needs quotes"},
		{"level = \"x\"", `config line 1: level: "x" is wrong: it must be low or high`},
		{"jumps = \"x\"", `config line 1: jumps: this is a list, written as ["one", "two"]`},
		{"jumps = [\"x,y\"]", `config line 1: jumps: "x,y" has a comma, which separates the values of a list`},
		{"jumps = [\"\"]", "config line 1: jumps: a value of the list is empty"},
		{"ports = [1,\n 0]", "config line 1: ports: 0 is not between 1 and 65535"},
		{"\n[http_proxi]\nport = 1", "config line 2: http_proxi: there is no such setting; did you mean http_proxy?"},
		{"[http_proxy]\nprot = 1", "config line 2: http_proxy.prot: there is no such setting; did you mean port?"},
		{"frobnicate = 1", "config line 1: frobnicate: there is no such setting"},
		{"http_proxy = 1", "config line 1: http_proxy: this is a table, written as [http_proxy]"},
		{"[[tunnels]]\n", "config line 1: tunnels: this is a set of tables, each written as [tunnels.NAME]"},
		{"tunnels.web = 1", "config line 1: tunnels.web: this is a table, written as [tunnels.web]"},
		{"[tunnels.\"a.b\"]", `config line 1: tunnels.a.b: the name "a.b" may only have letters, digits, - and _`},
		{"[tunnels.\"\"]", "config line 1: tunnels.: the name is empty"},
		{"[tunnels.a]\n\nname = \"b\"", "config line 3: tunnels.a.name: there is no such setting"},
		{"[tunnels.a]\nhops = 8", "config line 2: tunnels.a.hops: 8 is not between 0 and 7"},
		{"a = 1\nb = [", "config line 2, column 5: array is incomplete"},
		{"mode = \"fair\"\nmode = \"fast\"", "config line 2, column 1: key mode is already defined"},
	} {
		var dst config
		err := setting.Load(&dst, []byte(c.file), nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.file, err, c.want)
		}
		if !reflect.ValueOf(dst).IsZero() {
			t.Errorf("%q: a wrong file changed the settings", c.file)
		}
	}
}

func TestLoadReportsEverythingInTheOrderOfTheFile(t *testing.T) {
	var c config
	file := "zebra = 1\nmode = \"\"\n[http_proxy]\nport = 0\n[tunnels.b]\nx = 1\n[tunnels.a]\nx = 1\n"
	err := setting.Load(&c, []byte(file), lookup(map[string]string{"SHARE": "2"}))
	want := []string{
		"config line 1: zebra: there is no such setting",
		`config line 2: mode: "" is not one of fair, fast`,
		"config line 4: http_proxy.port: 0 is not between 1 and 65535",
		"config line 6: tunnels.b.x: there is no such setting",
		"config line 8: tunnels.a.x: there is no such setting",
		"environment: share: 2 is not between 0 and 1",
	}
	diff(t, strings.Split(err.Error(), "\n"), want)
	var first *setting.Error
	if !errors.As(err, &first) || first.Key != "zebra" {
		t.Errorf("no *Error in %v", err)
	}
}

func TestDescribeListsSettingsAndNamedTables(t *testing.T) {
	c := load(t, "[tunnels.web]\nhops = 1")
	var keys []string
	var hops setting.Setting
	for _, s := range setting.Describe(c) {
		keys = append(keys, s.Key)
		if s.Key == "tunnels.web.hops" {
			hops = s
		}
		if restart := strings.HasPrefix(s.Key, "router.") || s.Key == "http_proxy.enabled"; s.Restart != restart {
			t.Errorf("%s: restart is %v", s.Key, s.Restart)
		}
	}
	diff(t, keys, strings.Fields(`rate share mode level jumps ports http_proxy.enabled http_proxy.port http_proxy.bind
		http_proxy.idle http_proxy.cache http_proxy.via router.i2np_limit router.ipv6_only
		tunnels.web.target tunnels.web.hops tunnels.web.tls.verify`))
	diff(t, hops, setting.Setting{
		Key: "tunnels.web.hops", Kind: setting.Integer, Help: "Length.", Default: "3", Value: "1", Min: "0", Max: "7", Unit: "hops",
	})
	if hops.Env() != "TUNNELS_WEB_HOPS" {
		t.Errorf("environment name %s", hops.Env())
	}
}

func TestSetTakesEveryDescribedValue(t *testing.T) {
	c := load(t, "rate = 1000\nports = [7, 8]\n[http_proxy]\nidle = \"1h\"\nvia = \"1.2.3.4:5\"\n[tunnels.web]\ntarget = \" x \"")
	var copied config
	setting.Defaults(&copied)
	for _, s := range setting.Describe(&c) {
		if err := setting.Set(&copied, s.Key, s.Value); err != nil {
			t.Error(err)
		}
	}
	diff(t, copied, c)
}

func TestSetRefusesWhatIsWrongAndChangesNothing(t *testing.T) {
	c := load(t, "[tunnels.web]\nhops = 1")
	before := load(t, "[tunnels.web]\nhops = 1")
	for _, s := range []struct{ key, text, want string }{
		{"http_proxy.port", "0", "http_proxy.port: 0 is not between 1 and 65535"},
		{"http_proxy.portt", "1", "http_proxy.portt: there is no such setting; did you mean port?"},
		{"http_proxy", "1", "http_proxy: this is a table, not a setting"},
		{"tunnels.web", "1", "tunnels.web: this is a table, not a setting"},
		{"mode.x", "1", "mode.x: mode is a setting, not a table"},
		{"tunnels.new.hops", "9", "tunnels.new.hops: 9 is not between 0 and 7"},
		{"tunnels.web.hops", "9", "tunnels.web.hops: 9 is not between 0 and 7"},
		{"tunnels.a b.hops", "1", `tunnels.a b.hops: the name "a b" may only have letters, digits, - and _`},
		{"", "", ": there is no such setting"},
	} {
		err := setting.Set(&c, s.key, s.text)
		if err == nil || err.Error() != strings.TrimPrefix(s.want, ": ") {
			t.Errorf("%s=%s: got %v, want %s", s.key, s.text, err, s.want)
		}
	}
	diff(t, c, before)
	if err := setting.Set(&c, "tunnels.new.hops", "2"); err != nil || len(c.Tunnels) != 2 || !c.Tunnels[1].TLS.Verify {
		t.Errorf("a new table: %v %+v", err, c.Tunnels)
	}
}

func TestWrongDescriptionsPanic(t *testing.T) {
	type named struct {
		Name string `name:"true"`
	}
	type embedded struct{ proxy }
	type Embedded struct{ Proxy proxy }
	for want, v := range map[string]any{
		"has no help": struct{ A int }{},
		"has a wrong default": struct {
			A uint8 `help:"x" default:"256"`
		}{},
		"wrong default: 0 is less": struct {
			A int `help:"x" min:"1"`
		}{},
		"has a wrong range": struct {
			A int `help:"x" min:"one"`
		}{},
		"no order": struct {
			A string `help:"x" min:"1"`
		}{},
		"which no setting can be": struct {
			A map[string]int `help:"x"`
		}{},
		"must be a slice": struct {
			A named `help:"x"`
		}{},
		"if, and only if": struct {
			A []proxy `help:"x"`
		}{},
		"must be a string": struct {
			A int `name:"true"`
		}{},
		"is embedded": struct{ Embedded }{},
		"look the same": struct {
			HTTPPort int `help:"x"`
			HTTP     struct {
				Port int `help:"x"`
			} `help:"x"`
		}{},
		"neither a struct": 1,
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("%T panics with %q, want %q", v, text, want)
				}
			}()
			setting.Describe(v)
		}()
	}
	setting.Describe(embedded{}) // nothing exported, nothing wrong
}

func diff(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}
