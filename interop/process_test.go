//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// endWait is how long a program may take to end by itself.
	endWait = 5 * time.Second
	// tailLines is how much of a log is printed on failure.
	tailLines = 25
)

// process is a program started here.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; then err tells how
	err  error
}

// start starts a program whose output is appended to logFile.
func start(name, logFile string, argv ...string) (*process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Dir = filepath.Dir(logFile)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// ended tells whether the program has ended, and how.
func (p *process) ended() (bool, error) {
	select {
	case <-p.done:
		return true, p.err
	default:
		return false, nil
	}
}

// terminate asks the program to end.
func (p *process) terminate() {
	// It fails when the program has ended already.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
}

// wait waits until the program has ended, and ends it if it does not. It
// tells how the program ended by itself.
func (p *process) wait() error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(endWait):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %v", p.name, endWait)
	}
}

// printTail prints the end of a log.
func printTail(t *testing.T, title, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Logf("%s: %v", title, err)
		return
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	t.Logf("%s, last of the log:\n  %s", title, strings.Join(lines, "\n  "))
}

// eventually waits until a condition holds, and fails the test after limit
// with what the condition said last.
func eventually(t *testing.T, what string, limit time.Duration, holds func() (bool, string)) {
	t.Helper()
	begin := time.Now()
	for {
		ok, state := holds()
		if ok {
			t.Logf("%s: %s after %.1f s", what, state, time.Since(begin).Seconds())
			return
		}
		if time.Since(begin) > limit {
			t.Fatalf("%s: not within %v: %s", what, limit, state)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
