package reseed_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"allium/internal/reseed"
)

// mischief is a server that does something wrong.
type mischief struct {
	name string
	make func(t *testing.T, w *world, host string)
	want reseed.Reason
}

// sends makes a server that answers with b.
func sends(b func(t *testing.T) []byte) func(*testing.T, *world, string) {
	return func(t *testing.T, w *world, host string) { w.serve(host, serve(b(t))) }
}

// answers makes a server with a handler.
func answers(h http.HandlerFunc) func(*testing.T, *world, string) {
	return func(_ *testing.T, w *world, host string) { w.serve(host, h) }
}

// page is what a captive portal shows.
const page = "<!DOCTYPE html><html><body>Welcome to the hotel. Please log in.</body></html>"

// mischiefs are the ways servers misbehave in.
var mischiefs = []mischief{
	{"wrong signature", sends(func(t *testing.T) []byte {
		b := bundle(t, "one", 0, routers(0, 80, "good"))
		b[len(b)-1] ^= 1
		return b
	}), reseed.BadSignature},
	{"changed content", sends(func(t *testing.T) []byte {
		b := bundle(t, "one", 0, routers(0, 80, "good"))
		b[len(b)/2] ^= 1
		return b
	}), reseed.BadSignature},
	{"expired signer", sends(func(t *testing.T) []byte { return bundle(t, "three", 0, routers(0, 80, "good")) }), reseed.SignerOver},
	{"unknown signer", sends(func(t *testing.T) []byte {
		return bytes.ReplaceAll(bundle(t, "one", 0, routers(0, 80, "good")), []byte("one@test"), []byte("eve@test"))
	}), reseed.WrongSigner},
	{"truncated", sends(func(t *testing.T) []byte {
		b := bundle(t, "one", 0, routers(0, 80, "good"))
		return b[:len(b)/2]
	}), reseed.NoBundle},
	{"cut off", answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "70000")
		_, _ = w.Write(make([]byte, 30000))
	}), reseed.Cut},
	{"slow drip", answers(func(w http.ResponseWriter, req *http.Request) {
		for req.Context().Err() == nil {
			_, _ = w.Write([]byte("I"))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second)
		}
	}), reseed.TooSlow},
	{"silent", answers(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }), reseed.Timeout},
	{"tar pit", func(_ *testing.T, w *world, host string) {
		w.raw(host, func(c net.Conn) {
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		})
	}, reseed.Timeout},
	{"forbidden", answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), reseed.WrongStatus},
	{"redirect", answers(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "https://elsewhere.test/i2pseeds.su3", http.StatusFound)
	}), reseed.Redirected},
	{"huge", answers(func(w http.ResponseWriter, req *http.Request) {
		for req.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}), reseed.TooLarge},
	{"huge by its word", answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000000")
	}), reseed.TooLarge},
	{"other network", sends(func(t *testing.T) []byte {
		return bundle(t, "one", 0, routers(0, 80, string(reseed.OtherNetwork)))
	}), reseed.OtherNetwork},
	{"stale", sends(func(t *testing.T) []byte { return bundle(t, "one", 31*24*time.Hour, routers(0, 80, "good")) }), reseed.OldBundle},
	{"stale routers", sends(func(t *testing.T) []byte {
		return bundle(t, "one", 3*24*time.Hour, routers(0, 80, string(reseed.OldRouters)))
	}), reseed.OldRouters},
	{"from the future", sends(func(t *testing.T) []byte { return bundle(t, "one", -7*24*time.Hour, routers(0, 80, "good")) }), reseed.EarlyBundle},
	{"captive portal", answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }), reseed.NoBundle},
	{"portal of another name", func(t *testing.T, w *world, host string) {
		as := authority()
		w.serveAs("portal."+host, http.NotFoundHandler(), as) // *.test has one label
	}, reseed.Certificate},
	{"portal without TLS", func(_ *testing.T, w *world, host string) {
		w.raw(host, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin"))
			_ = c.Close()
		})
	}, reseed.NoTLS},
	{"TLS reset", func(_ *testing.T, w *world, host string) {
		w.raw(host, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096)) // the ClientHello, with the name in it
			_ = c.Close()
		})
	}, reseed.Cut},
	{"dead name", func(_ *testing.T, w *world, host string) {
		w.files.URLs = append(w.files.URLs, "https://nowhere.test/")
	}, reseed.NoName},
	{"no name server", func(_ *testing.T, w *world, _ string) {
		w.files.URLs = append(w.files.URLs, "https://unresolved.test/")
	}, reseed.NoResolver},
	{"refused", func(_ *testing.T, w *world, _ string) { w.files.URLs = append(w.files.URLs, "https://refuses.test/") }, reseed.Refused},
	{"unsigned", sends(func(t *testing.T) []byte {
		b := bundle(t, "one", 0, routers(0, 80, "good"))
		return b[bytes.Index(b, []byte("PK\x03\x04")) : len(b)-512]
	}), reseed.NoBundle},
	{"empty bundle", sends(func(t *testing.T) []byte { return bundle(t, "one", 0, nil) }), reseed.FewRouters},
}

// TestMisbehavingServersAreToldApart has one server at a time, which gives
// nothing, for the right reason and within a bounded time.
func TestMisbehavingServersAreToldApart(t *testing.T) {
	for _, m := range mischiefs {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				m.make(t, w, "bad.test")
				r := w.reseeder(t)
				begin := time.Now()
				if r.Once(t.Context(), nil) {
					t.Error("it is done")
				}
				s := r.Status()
				if s.Sources[0].Why != m.want || s.Sources[0].Detail == "" || s.Sources[0].Tried != begin || s.Sources[0].Busy {
					t.Errorf("%+v, want %q", s.Sources[0], m.want)
				}
				if w.router.len() != 0 {
					t.Errorf("%d routers were taken", w.router.len())
				}
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("it took %v", took)
				}
				if w.asked("elsewhere") != 0 {
					t.Error("the redirect was followed")
				}
			})
		})
	}
}

// everybody makes all misbehaving servers at once.
func everybody(t *testing.T, w *world) {
	t.Helper()
	for i, m := range mischiefs {
		m.make(t, w, "bad"+string(rune('a'+i))+".test")
	}
}

func TestOneGoodServerAmongAllBadOnesIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		everybody(t, w)
		w.serve("good.test", serve(bundle(t, "two", time.Hour, routers(1000, 77, "good"))))
		r := w.reseeder(t)
		if !r.Once(t.Context(), nil) || w.router.len() != 77 {
			t.Errorf("%d routers", w.router.len())
		}
		s := r.Status()
		if failed, why := s.Failed(); failed != len(mischiefs) || len(why) < 12 || s.Routers() != 77 || s.Signers != 1 {
			t.Errorf("%d failed for %q, %d routers of %d signers", failed, why, s.Routers(), s.Signers)
		}
	})
}

// TestBadServersDoNotKeepTheGoodOneWaiting: however the order falls, the good
// one is found within 20 seconds among eleven that are dead in slow ways.
func TestBadServersDoNotKeepTheGoodOneWaiting(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			for i := range 11 {
				m := mischiefs[6+i%3]
				m.make(t, w, "bad"+string(rune('a'+i))+".test")
			}
			w.serve("good.test", serve(bundle(t, "two", time.Hour, routers(1000, 77, "good"))))
			w.router.set(reseed.Knowledge{})
			begin := time.Now()
			r := w.run(t)
			r.until(t, func(s reseed.Status) bool { return !s.Done.IsZero() })
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			r.stop()
		})
	}
}

func TestAllBadIsNeverDoneAndNeverTakesAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		everybody(t, w)
		r := w.run(t)
		time.Sleep(90 * time.Minute)
		s := r.Status()
		if w.router.len() != 0 || !s.Done.IsZero() || s.Need != "no routers known" || s.Passes < 10 {
			t.Errorf("%d routers taken, %+v", w.router.len(), s)
		}
		r.stop()
	})
}
