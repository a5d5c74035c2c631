//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"allium"
)

// TestSignalsStopARouterCleanly runs the program as a process of its own.
func TestSignalsStopARouterCleanly(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config := write(t, "run.toml", "[router]\nnetwork = 96\nprivate = true\nlisten = [\"127.0.0.1:0\"]\n"+
		"[http_proxy]\nlisten = \"127.0.0.1:0\"\n[status]\nlisten = \"127.0.0.1:0\"\n")
	dir := filepath.Join(t.TempDir(), "router")
	hash := ""
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		var out, errs text
		cmd := exec.Command(self, "run", "--dir", dir, "--config", config)
		cmd.Env = append(os.Environ(), asAllium+"=1", "ALLIUM_LOG_LEVEL=debug")
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		url := regexp.MustCompile(`url=(http://\S+/api/status)`)
		await(t, func() bool {
			return url.MatchString(errs.String()) && strings.Contains(errs.String(), "HTTP proxy listens")
		})
		s, err := statusOf(url.FindStringSubmatch(errs.String())[1])
		if err != nil || hash != "" && s.Router != hash {
			t.Errorf("status of %s, before %s, %v", s.Router, hash, err)
		}
		hash = s.Router
		await(t, func() bool { _, err := os.Stat(filepath.Join(dir, "router.info")); return err == nil })
		begin := time.Now()
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || time.Since(begin) > 5*time.Second {
			t.Errorf("%v: %v after %v\n%s", signal, err, time.Since(begin), errs.String())
		}
		if out.String() != "" || strings.Contains(errs.String(), "level=ERROR") || strings.Contains(errs.String(), "panic") {
			t.Errorf("%v:\n%s%s", signal, out.String(), errs.String())
		}
	}
}

func statusOf(at string) (s allium.Status, err error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get(at)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}
