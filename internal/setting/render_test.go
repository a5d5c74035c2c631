package setting_test

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"allium/internal/setting"
)

// update rewrites the documents in testdata: go test -run Documents -update.
var update = flag.Bool("update", false, "rewrite testdata")

func TestExampleSetsNothing(t *testing.T) {
	diff(t, load(t, string(setting.Example(config{}))), load(t, ""))
}

func TestExampleUncommentedSetsDefaults(t *testing.T) {
	file := regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(string(setting.Example(config{})), "$1")
	c := load(t, file)
	want := load(t, "[tunnels.NAME]")
	diff(t, c, want)
	lines := regexp.MustCompile(`(?m)^\w+ = `).FindAllString(file, -1)
	if settings := setting.Describe(c); len(settings) != len(lines) {
		t.Errorf("%d settings, but the file is\n%s", len(settings), file)
	}
}

func TestDocumentsLookAsTheyDid(t *testing.T) {
	for name, got := range map[string][]byte{
		"testdata/example.toml": setting.Example(&config{Mode: "not shown"}),
		"testdata/reference.md": setting.Markdown(config{}),
	} {
		if *update {
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, string(got), string(want))
	}
}
