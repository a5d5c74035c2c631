package reseed_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"allium/internal/reseed"
)

// running is a Reseeder that runs.
type running struct {
	*reseed.Reseeder
	stop func()
}

// run starts the Reseeder of the world. It must be stopped.
func (w *world) run(t *testing.T) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	r := &running{w.reseeder(t), func() { cancel(); ended.Wait() }}
	ended.Go(func() { r.Run(ctx) })
	return r
}

// until waits until the status is as wanted, for a day at most.
func (r *running) until(t *testing.T, holds func(s reseed.Status) bool) {
	t.Helper()
	for range 24 * 3600 * 4 {
		if holds(r.Status()) {
			return
		}
		time.Sleep(time.Second / 4)
	}
	t.Fatalf("waited in vain: %+v", r.Status())
}

// good makes a good server.
func (w *world) good(t *testing.T, host, signer string, from, n int) {
	t.Helper()
	w.serve(host, serve(bundle(t, signer, time.Hour, routers(from, n, "good"))))
}

func TestTwoIndependentSignersEndTheSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.good(t, "a.test", "one", 0, 77)
		w.good(t, "b.test", "two", 100, 77)
		r := w.run(t)
		r.until(t, func(s reseed.Status) bool { return s.State == reseed.Idle && !s.Done.IsZero() })
		if s := r.Status(); w.router.len() != 154 || s.Signers != 2 || s.Need != "" || !s.Next.IsZero() {
			t.Errorf("%d routers, %+v", w.router.len(), s)
		}
		w.router.set(reseed.Knowledge{Routers: 154, Newest: time.Now(), Peers: 1})
		time.Sleep(24 * time.Hour)
		if w.asked("a") != 1 || w.asked("b") != 1 {
			t.Errorf("asked %d and %d times in a day with peers", w.asked("a"), w.asked("b"))
		}
		r.stop()
	})
}

func TestAServerAloneIsEnoughAndOthersAreAskedAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.good(t, "a.test", "one", 0, 77)
		later := bundle(t, "two", time.Hour, routers(100, 77, "good"))
		begin := time.Now()
		w.serve("b.test", http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
			if time.Since(begin) < 90*time.Second {
				out.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = out.Write(later)
		}))
		r := w.run(t)
		r.until(t, func(s reseed.Status) bool { return s.Need == "" && !s.Done.IsZero() })
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the first alone took %v", took)
		}
		r.until(t, func(s reseed.Status) bool { return s.Signers == 2 })
		if w.asked("a") != 1 {
			t.Errorf("who has delivered was asked %d times", w.asked("a"))
		}
		r.stop()
	})
}

func TestTwoServersOfOneSignerAreNotIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		for _, host := range []string{"a.test", "b.test", "c.test", "d.test", "e.test"} {
			w.good(t, host, "one", 0, 77)
		}
		w.good(t, "f.test", "two", 100, 77)
		if r := w.reseeder(t); !r.Once(t.Context(), nil) || r.Status().Signers != 2 || w.router.len() != 154 {
			t.Errorf("%+v", r.Status())
		}
	})
}

// searchEnds runs for a minute and tells whether the search is over then.
func searchEnds(t *testing.T, r *reseed.Reseeder) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { r.Run(ctx) })
	time.Sleep(time.Minute)
	s := r.Status()
	cancel()
	ended.Wait()
	return s.State == reseed.Idle && !s.Done.IsZero()
}

// TestWhoseSignerHasDeliveredIsNotAsked: the servers of the public list have
// known signers.
func TestWhoseSignerHasDeliveredIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		wiring := w.wiring(w.dial)
		for _, host := range []string{"one-a.test", "one-b.test", "one-c.test", "one-d.test", "one-e.test"} {
			w.good(t, host, "one", 0, 77)
			wiring.Servers = append(wiring.Servers, reseed.Server{URL: "https://" + host + "/", Signer: "one@test"})
		}
		wiring.Servers = append(wiring.Servers, reseed.Server{URL: "https://refuses.test/", Signer: "two@test"})
		w.files.URLs = nil
		alone := wiring
		alone.Servers = wiring.Servers[:5]
		if made, err := reseed.New(w.files, alone); err != nil || !searchEnds(t, made) {
			t.Errorf("with servers of one signer alone it goes on: %v", err)
		}
		w.router.set(reseed.Knowledge{})
		w.dials = nil
		made, err := reseed.New(w.files, wiring)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { made.Run(ctx) })
		time.Sleep(10 * time.Minute)
		cancel()
		ended.Wait()
		if one, two := w.asked("one-"), w.asked("refuses"); one > 3 || two < 4 {
			t.Errorf("servers of the signer that delivered asked %d times, the other %d", one, two)
		}
	})
}

// TestOneSignerGivesABoundedShare is the case of a signer who would fill a
// new router's netDb alone. Three are asked at a time, so two others deliver
// with him.
func TestOneSignerGivesABoundedShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.good(t, "evil.test", "one", 0, 900)
		w.good(t, "a.test", "two", 1000, 77)
		w.files.Signers = append(w.files.Signers, signerFile(t, "three", time.Hour*24*365))
		w.good(t, "b.test", "three", 2000, 77)
		r := w.reseeder(t)
		if !r.Once(t.Context(), nil) {
			t.Errorf("%+v", r.Status())
		}
		if evil := r.Status().Sources[0].Routers; w.router.len() != evil+154 || 10*evil > 4*w.router.len() {
			t.Errorf("%d of %d routers are of one signer", evil, w.router.len())
		}
	})
}

func TestPausesGrowToTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.files.URLs = []string{"https://refuses.test/"}
		r := w.run(t)
		time.Sleep(24 * time.Hour)
		r.stop()
		if len(w.dials) < 24*4 || len(w.dials) > 24*10 {
			t.Errorf("asked %d times in a day", len(w.dials))
		}
		for i := 1; i < len(w.dials); i++ {
			pause := w.dials[i].at.Sub(w.dials[i-1].at)
			longest := min(5*time.Second<<min(i-1, 20), 10*time.Minute) * 5 / 4
			if pause < 3*time.Second || pause > longest || i > 8 && pause < 7*time.Minute {
				t.Errorf("pause %d is %v, at most %v", i, pause, longest)
			}
		}
	})
}

func TestOfflineItIsTriedOftenAndAtOnceWhenTheNetworkIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		for _, urls := range [][]string{{"https://offline.test/", "https://nowhere.test/", "https://unresolved.test/"}, {"https://dead.test/"}} {
			w.files.URLs = urls
			before := w.asked("")
			r := w.run(t)
			time.Sleep(time.Hour)
			// Connecting is given up after 20 s, the pause is 19 s at most.
			if n := (w.asked("") - before) / len(urls); n < 3600/40 {
				t.Errorf("%q asked %d times in an hour", urls, n)
			}
			r.stop()
		}
		// A proxy that has not been started yet is waited for as well.
		w.files.Proxy = "socks5://refuses.test:1080"
		r := w.run(t)
		time.Sleep(time.Hour)
		if n := w.asked("refuses"); n < 3600/40 {
			t.Errorf("the proxy was tried %d times in an hour", n)
		}
		r.stop()
		w.files.Proxy = ""

		w.files.URLs = []string{"https://refuses.test/"}
		r = w.run(t)
		time.Sleep(3 * time.Hour)
		n := w.asked("refuses")
		r.Poke()
		time.Sleep(4 * time.Second)
		if w.asked("refuses") != n+1 {
			t.Errorf("after a poke: %d times more", w.asked("refuses")-n)
		}
		r.stop()
	})
}

func TestRoutersAreAskedForWhenNeeded(t *testing.T) {
	for _, c := range []struct {
		name  string
		known reseed.Knowledge
		age   time.Duration
		asked bool
		need  string
	}{
		{"none", reseed.Knowledge{}, 0, true, "no routers known"},
		{"few", reseed.Knowledge{Routers: 49, Peers: 3}, time.Minute, true, "of 50 routers wanted only 49 known"},
		{"enough", reseed.Knowledge{Routers: 50, Peers: 3}, time.Minute, false, ""},
		{"enough old ones that answer", reseed.Knowledge{Routers: 50, Peers: 3}, 48 * time.Hour, false, ""},
		{"away for two months", reseed.Knowledge{Routers: 500}, 61 * 24 * time.Hour, true, "nothing heard for 61 days"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				w.files.URLs = []string{"https://refuses.test/"}
				c.known.Newest = time.Now().Add(-c.age)
				w.router.set(c.known)
				r := w.run(t)
				time.Sleep(10 * time.Minute)
				if s := r.Status(); (w.asked("refuses") > 0) != c.asked || s.Need != c.need {
					t.Errorf("asked %d times, need %q", w.asked("refuses"), s.Need)
				}
				r.stop()
			})
		})
	}
}

func TestRoutersWhoNeverAnswerAreReplacedAfterMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.good(t, "a.test", "one", 0, 77)
		w.good(t, "b.test", "two", 100, 77)
		w.router.set(reseed.Knowledge{Routers: 500, Newest: time.Now().Add(-30 * time.Hour)})
		r := w.run(t)
		time.Sleep(4*time.Minute + 50*time.Second)
		if w.asked("") != 0 {
			t.Error("they were not given time")
		}
		time.Sleep(30 * time.Second)
		if w.router.len() != 154 {
			t.Errorf("%d routers, %+v", w.router.len(), r.Status())
		}
		r.stop()
	})
}

// TestAManualImportEndsTheSearch: routers may come by other ways.
func TestAManualImportEndsTheSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.files.URLs = []string{"https://refuses.test/"}
		r := w.run(t)
		time.Sleep(time.Minute)
		w.router.set(reseed.Knowledge{Routers: 80, Newest: time.Now(), Peers: 1})
		r.Poke()
		r.until(t, func(s reseed.Status) bool { return s.State == reseed.Idle })
		if s := r.Status(); s.Need != "" || !s.Done.IsZero() {
			t.Errorf("%+v", s)
		}
		r.stop()
	})
}

func TestWithoutServersOrWishNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if r := w.reseeder(t); r.Status().State != reseed.Off || len(r.Status().Sources) != 0 {
			t.Errorf("a private network has servers: %+v", r.Status())
		}
		w.files.URLs, w.files.Enabled = []string{"https://refuses.test/"}, false
		r := w.run(t)
		time.Sleep(time.Hour)
		if w.asked("") != 0 || r.Status().State != reseed.Off {
			t.Errorf("%d dials, %+v", w.asked(""), r.Status())
		}
		r.stop()
	})
}

func TestSettingsThatMakeNoSenseAreToldByTheirKeys(t *testing.T) {
	for want, c := range map[string]reseed.Config{
		"reseed.urls: ":                      {URLs: []string{"http://a.test/"}},
		"reseed.proxy: this is not":          {Proxy: "127.0.0.1:9050"},
		"reseed.proxy: a proxy is socks5":    {Proxy: "ftp://user:secret@127.0.0.1:21"},
		"reseed.signers: ":                   {Signers: []string{"nowhere.crt"}},
		"reseed.signers: world_test.go: ":    {Signers: []string{"world_test.go"}},
		"reseed.authorities: there is no ce": {Authorities: []string{"world_test.go"}},
	} {
		_, err := reseed.New(c, reseed.Wiring{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
