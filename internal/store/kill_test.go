package store_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"allium/internal/store"
)

// A child of the test writes one state after another until it is killed. It
// tells each state's number when the write has returned. Whatever the moment
// of its death, the last state it told of is there, or the one after it.
//
// These variables tell it what it writes, and where.
const (
	childKind = "STORE_TEST_CHILD"
	childPath = "STORE_TEST_PATH"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childKind) {
	case "store":
		writeStates(os.Getenv(childPath))
	case "file":
		writeFiles(os.Getenv(childPath))
	default:
		os.Exit(m.Run())
	}
}

// state is what the bucket holds after write n: forty keys of which some are
// missing, with values of many sizes.
func state(n int) []store.Change {
	changes := []store.Change{{Key: []byte("n"), Value: []byte(strconv.Itoa(n))}}
	for i := range 40 {
		c := store.Change{Key: fmt.Appendf(nil, "key %02d", i)}
		if (n+i)%3 != 0 {
			c.Value = bytes.Repeat([]byte{byte(n)}, (n*i*37)%5000)
		}
		changes = append(changes, c)
	}
	return changes
}

// file is what the file holds after write n.
func file(n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d\n", n), 1+n*7919%20_000)
}

func writeStates(path string) {
	s, err := store.Open(path)
	if err != nil {
		panic(err)
	}
	b, err := s.Bucket("b")
	if err != nil {
		panic(err)
	}
	n := 0
	if value, ok, _ := b.Get([]byte("n")); ok {
		n, _ = strconv.Atoi(string(value))
	}
	for {
		n++
		if err := b.Write(state(n)); err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}

func writeFiles(path string) {
	for n := 1; ; n++ {
		if err := store.WriteFile(path, file(n)); err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}

// kill lets a child write until it has told of some states, kills it, and
// gives the number of the last it told of.
func kill(t *testing.T, kind, path string, states int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childKind+"="+kind, childPath+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	lines := bufio.NewScanner(out)
	for ; lines.Scan(); states-- {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			last = n
		}
		if states == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	cmd.Wait()
	return last
}

func TestStoreSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		last := kill(t, "store", path, rng.IntN(15))
		s := open(t, path)
		b := bucket(t, s, "b")
		value, _, err := b.Get([]byte("n"))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(value))
		if err != nil || last == 0 || n < last || n > last+1 {
			t.Fatalf("state %q, killed after %d, %v", value, last, err)
		}
		var want []string
		for _, c := range state(n) {
			if c.Value != nil {
				want = append(want, fmt.Sprintf("%s=%s", c.Key, c.Value))
			}
		}
		slices.Sort(want)
		if got := content(t, b); !slices.Equal(got, want) {
			t.Fatalf("state %d is mixed with another", n)
		}
		s.Close()
	}
}

func TestStoreSurvivesKillInCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	for range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childKind+"=store", childPath+"="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It has begun when the file is there.
		for {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		s := open(t, path)
		put(t, bucket(t, s, "b"), "key", "value")
		s.Close()
		os.Remove(path)
	}
}

func TestWriteFileSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	rng := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		last := kill(t, "file", path, rng.IntN(15))
		got, err := store.ReadFile(path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, file(last)) && !bytes.Equal(got, file(last+1)) {
			t.Fatalf("killed after state %d, the file holds %d bytes of another", last, len(got))
		}
	}
	if err := store.WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if files, err := store.Files(filepath.Dir(path), "*"); err != nil || len(files) != 1 {
		t.Errorf("left over: %q, %v", files, err)
	}
}
