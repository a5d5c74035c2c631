package setting_test

import (
	"bytes"
	"strings"
	"testing"

	"allium/internal/setting"

	"github.com/alecthomas/kong"
)

// parse runs kong over the flags of a config and returns what it was given and
// what it printed.
func parse(t *testing.T, args ...string) (*setting.Flags, string, error) {
	t.Helper()
	var cli struct {
		Run struct{ kong.Plugins } `cmd:"" default:"withargs" help:"Run."`
	}
	flags := setting.NewFlags(config{})
	cli.Run.Plugins = kong.Plugins{flags.Struct()}
	var out bytes.Buffer
	parser, err := kong.New(&cli, kong.Name("x"), kong.Writers(&out, &out), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return flags, out.String(), err
}

func TestFlagsOverrideWhatIsLoaded(t *testing.T) {
	flags, _, err := parse(t, "run", "--http-proxy.port=8080", "--router.ipv6-only", "--no-http-proxy.enabled", "--jumps=", "--mode=fast")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, "jumps = [\"x\"]\nlevel = \"low\"")
	if err := flags.Apply(&c); err != nil {
		t.Fatal(err)
	}
	want := load(t, "jumps = []\nlevel = \"low\"\nmode = \"fast\"\nrouter.ipv6_only = true\nhttp_proxy = { port = 8080, enabled = false }")
	diff(t, c, want)
}

func TestFlagErrorsNameTheFlag(t *testing.T) {
	flags, _, err := parse(t, "run", "--http-proxy.port=70000")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, "")
	err = flags.Apply(&c)
	if want := "flag --http-proxy.port: http_proxy.port: 70000 is not between 1 and 65535"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	diff(t, c, load(t, ""))
}

func TestFlagHelpExplainsSettings(t *testing.T) {
	_, out, _ := parse(t, "run", "--help")
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"--mode=VALUE What to favour for ${HOME}. (one of fair, fast)", "--[no-]router.ipv6-only Leave IPv4 out."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(text, "tunnels") {
		t.Errorf("named tables have no flags:\n%s", out)
	}
}
