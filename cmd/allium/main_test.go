package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium"
)

// asAllium in the environment makes the test binary be allium.
const asAllium = "ALLIUM_TEST_BE_ALLIUM"

func TestMain(m *testing.M) {
	if os.Getenv(asAllium) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// text collects what is printed, by any goroutine.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// command runs a command line to its end, without an environment.
func command(t *testing.T, ctx context.Context, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e text
	code = run(ctx, args, &streams{out: &o, err: &e, env: func(string) (string, bool) { return "", false }})
	return code, o.String(), e.String()
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMistakesExitWithTwoAndAPlainSentence has a command line a row.
func TestMistakesExitWithTwoAndAPlainSentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	dir, fresh := t.TempDir(), t.TempDir()
	file := write(t, "a-file", "not a directory")
	quiet := "[http_proxy]\nenabled = false\n[status]\nenabled = false\n[router]\nnetwork = 97\nprivate = true\n"
	inUse := write(t, "in-use.toml", quiet+"listen = [\""+at+"\"]\n")
	proxyInUse := write(t, "proxy.toml", "[router]\nnetwork = 97\nprivate = true\nlisten = [\"127.0.0.1:0\"]\n[http_proxy]\nlisten = \""+at+"\"\n")
	notOurs := write(t, "not-ours.toml", quiet+"listen = [\"192.0.2.1:12345\"]\n")
	loopback := write(t, "loopback.toml", quiet+"listen = [\"127.0.0.1:0\"]\n")
	noProxy := write(t, "no-proxy.toml", quiet+"[router.reseed]\nproxy = \"localhost\"\n")
	noSigner := write(t, "no-signer.toml", quiet+"[router.reseed]\nsigners = [\"nowhere.crt\"]\n")
	wrong := write(t, "wrong.toml", "[router]\nnetwork = 1\nspeed = 9\n")
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.MkdirAll(damaged, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, "allium.db"), []byte("this is no store at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"", "expected one of"},
		{"fly", "unexpected argument fly"},
		{"run --dir", "--dir: expected file value"},
		{"run --dir " + dir + " --port 1", "unknown flag --port"},
		{"run --dir " + dir + " --config nowhere.toml", "nowhere.toml: no such file or directory"},
		{"run --dir " + dir + " --config " + dir, "is a directory"},
		{"run --dir " + dir + " --config " + wrong, "config line 2: router.network: 1 is not between 2 and 254\nconfig line 3: router.speed: there is no such setting"},
		{"run --dir " + file + " --config " + loopback, "a-file"},
		{"run --dir " + damaged + " --config " + loopback, "damaged or not a store"},
		{"run --dir " + dir + " --config " + inUse, at + ": bind: address already in use"},
		{"run --dir " + dir + " --config " + notOurs, "192.0.2.1:12345: bind: cannot assign requested address"},
		{"run --dir " + dir + " --config " + proxyInUse, "http_proxy.listen: listen tcp " + at + ": bind: address already in use"},
		{"config check " + wrong, "router.network"},
		{"config check nowhere.toml", "no such file"},
		{"run --dir " + dir + " --config " + noProxy, "router.reseed.proxy: this is not the address of a proxy"},
		{"run --dir " + dir + " --config " + noSigner, "router.reseed.signers: store: open nowhere.crt: no such file or directory"},
		{"reseed fetch --dir " + fresh + " --from nowhere.su3", "no routers came from nowhere.su3"},
		{"reseed fetch --dir " + fresh + " --from " + file, "no routers came from " + file},
		{"reseed fetch --dir " + fresh + " --proxy 127.0.0.1:9050", "reseed.proxy: this is not the address of a proxy"},
		{"reseed fetch --dir " + fresh + " --signer-cert nowhere.crt", "nowhere.crt: no such file or directory"},
		{"reseed fetch --dir " + dir + " --config " + loopback, "network 97 has no public reseed servers: name one with --from"},
		{"reseed fetch --dir " + damaged, "damaged or not a store"},
		{"reseed export --dir " + fresh + " --out x.su3", "the router knows 0 others that are reachable and current; a bundle needs 50"},
		{"reseed export --dir nowhere --out x.su3", "nowhere"},
		{"reseed serve --dir " + dir + " --config " + loopback, "reseed_server.host: without tls_cert the name or address of the server is needed"},
		{"reseed serve --dir " + dir + " --config " + loopback + " --tls-cert a.crt", "reseed_server.tls_key: tls_cert and tls_key go together"},
		{"reseed serve --dir " + dir + " --config " + loopback + " --self-signed a.test --listen 8443", `--listen: "8443" is not address:port`},
		{"netdb import --dir " + dir + " nowhere.su3", "nowhere.su3: no such file or directory"},
		{"netdb import --dir " + dir, "expected \"<paths> ...\""},
		{"testnet --routers x", "--routers: expected a valid 64 bit int"},
		{"testnet --routers 4", "tunnels of 3 hops need 5 routers"},
		{"testnet --routers 1000", "at most 200 routers"},
		{"testnet --hops 8", "0 to 7 hops, not 8"},
		{"testnet --bytes much", `--bytes: "much" is not a size`},
		{"testnet --bytes 0", `--bytes: "0" is not a size`},
		{"testnet --bytes 11GB", `--bytes: "11GB" is not a size from 1 to 10 GB`},
		{"testnet --proxy 4444", `--proxy: "4444" is not address:port`},
		{"testnet --once --routers 2 --hops 0 --proxy " + at, at + ": bind: address already in use"},
	} {
		code, out, errs := command(t, t.Context(), strings.Fields(c.args)...)
		last := strings.Split(strings.TrimSpace(errs), "allium: ")
		if code != 2 || out != "" || !strings.Contains(errs, c.want) || len(last) < 2 || strings.Contains(errs, "goroutine") {
			t.Errorf("allium %s: exit code %d\nout %s\nerr %s\nwant %s", c.args, code, out, errs, c.want)
		}
	}
}

func TestHelpAndDescriptionsExitWithZero(t *testing.T) {
	for args, want := range map[string]string{
		"--help":           "testnet",
		"testnet --help":   "--routers=10",
		"config example":   "[http_proxy]",
		"config reference": "| `max_routers` |",
		"version":          "allium",
	} {
		if code, out, errs := command(t, t.Context(), strings.Fields(args)...); code != 0 || !strings.Contains(out, want) || errs != "" {
			t.Errorf("allium %s: exit code %d\n%s%s", args, code, out, errs)
		}
	}
	example := write(t, "example.toml", func() string { _, out, _ := command(t, t.Context(), "config", "example"); return out }())
	if code, out, errs := command(t, t.Context(), "config", "check", example); code != 0 || out != "no mistakes found\n" {
		t.Errorf("the example: %d %s%s", code, out, errs)
	}
}

func TestTestnetOncePrintsItsFigures(t *testing.T) {
	code, out, errs := command(t, t.Context(), "testnet", "--routers", "4", "--hops", "1", "--json", "--bytes", "100kB")
	var f map[string]float64
	if err := json.Unmarshal([]byte(out), &f); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	for _, name := range []string{"ready_s", "first_page_s", "p50_ms", "mb_per_s", "build_success"} {
		if f[name] <= 0 {
			t.Errorf("%s is %v", name, f[name])
		}
	}
	if len(f) != 5 || !strings.Contains(errs, "4 routers started") {
		t.Errorf("figures %v\n%s", f, errs)
	}
}

// TestTestnetSaysWhatToTryAndStops fetches the page as told, and ends it.
func TestTestnetSaysWhatToTryAndStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, errs text
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"testnet", "--routers", "4", "--hops", "1"}, &streams{out: &out, err: &errs, env: func(string) (string, bool) { return "", false }})
	}()
	await(t, func() bool { return strings.Contains(out.String(), "Ctrl-C stops it.") })
	words := strings.Fields(out.String())
	var proxy string
	for i, w := range words {
		if w == "-x" {
			proxy = words[i+1]
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(proxy, "http://"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET http://welcome.i2p/ HTTP/1.1\r\nHost: welcome.i2p\r\nConnection: close\r\n\r\n")
	if page, _ := io.ReadAll(conn); !bytes.Contains(page, []byte("It works")) {
		t.Errorf("page %s", page)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, errs.String())
	}
}

func TestOnceThatIsStoppedFails(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if code, out, errs := command(t, ctx, "testnet", "--once"); code != 1 || out != "" || errs == "" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// await waits until a condition holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	giveUp := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(giveUp) {
			t.Fatal("waited in vain")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// routerInfo is a RouterInfo of network 97, made just now.
func routerInfo(t *testing.T) []byte {
	t.Helper()
	s := allium.DefaultSettings()
	s.Network, s.Private, s.MinVersion = 97, true, ""
	s.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	r, err := allium.Start(t.Context(), allium.Config{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.RouterInfo()
}

func TestImportTakesFilesFoldersAndArchives(t *testing.T) {
	config := write(t, "net.toml", "[router]\nnetwork = 97\nprivate = true\nmin_version = \"\"\n")
	file := write(t, "router.info", string(routerInfo(t)))
	folder := t.TempDir()
	for name, b := range map[string][]byte{
		"r0/a.dat": routerInfo(t), "r1/b.dat": routerInfo(t), "r1/c.dat": []byte("garbage"), "r1/readme.txt": []byte("nothing"),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for name, b := range map[string][]byte{
		"netDb/r0/routerInfo-x.dat": routerInfo(t), "d.info": routerInfo(t), "long.dat": make([]byte, 1<<20), "x.txt": nil,
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(b)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	zipped := write(t, "seeds.zip", archive.String())
	dir := filepath.Join(t.TempDir(), "router")
	code, out, errs := command(t, t.Context(), "netdb", "import", "--dir", dir, "--config", config, file, folder, zipped)
	want := "4 added, 0 known already\n2 refused: not a RouterInfo\n1 refused: the file is named after another router\n"
	if code != 0 || out != want || errs != "" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	code, out, errs = command(t, t.Context(), "netdb", "import", "--dir", dir, "--config", config, file)
	if code != 0 || out != "0 added, 1 known already\n" || errs != "" {
		t.Errorf("again: exit code %d\n%s%s", code, out, errs)
	}
	code, out, errs = command(t, t.Context(), "netdb", "import", "--dir", dir, file)
	if code != 2 || !strings.Contains(out, "1 refused: not of network 2, which router.network says") || !strings.Contains(errs, "nothing was imported") {
		t.Errorf("another network: exit code %d\n%s%s", code, out, errs)
	}
	cut := write(t, "cut.zip", archive.String()[:archive.Len()/2])
	code, out, errs = command(t, t.Context(), "netdb", "import", "--dir", dir, "--config", config, cut, file)
	if code != 2 || !strings.HasPrefix(out, "1 added") || !strings.Contains(errs, "cut.zip: zip: not a valid zip file") {
		t.Errorf("half an archive: exit code %d\n%s%s", code, out, errs)
	}
}

// TestImportSaysThatBundlesAreOld takes bundles of real reseed servers, which
// have aged since. They lie outside the module and may be missing.
func TestImportSaysThatBundlesAreOld(t *testing.T) {
	bundles, err := filepath.Glob("../../../shared/data/reseed/*.su3")
	if err != nil || len(bundles) == 0 {
		t.Skip("no bundles here")
	}
	for _, bundle := range bundles {
		code, out, errs := command(t, t.Context(), "netdb", "import", "--dir", t.TempDir(), bundle)
		if code != 2 || !strings.Contains(out, "refused: published more than 27 hours ago; routers publish anew all the time, so fetch newer files") ||
			!strings.Contains(errs, "nothing was imported") {
			t.Errorf("%s: exit code %d\n%s%s", bundle, code, out, errs)
		}
		b, err := os.ReadFile(bundle)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1
		code, out, errs = command(t, t.Context(), "netdb", "import", "--dir", t.TempDir(), write(t, "forged.su3", string(b)))
		if code != 2 || !strings.Contains(out, "0 added") || !strings.Contains(errs, "forged.su3: su3: ") {
			t.Errorf("forged: exit code %d\n%s%s", code, out, errs)
		}
	}
}

func TestADirectoryBelongsToOneRouter(t *testing.T) {
	dir := t.TempDir()
	s := allium.DefaultSettings()
	s.Network, s.Private = 97, true
	s.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	r, err := allium.Start(t.Context(), allium.Config{Dir: dir, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	file := write(t, "router.info", string(r.RouterInfo()))
	if code, _, errs := command(t, t.Context(), "netdb", "import", "--dir", dir, file); code != 2 || !strings.Contains(errs, "in use by another process") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for _, args := range [][]string{{"reseed", "fetch", "--dir", dir}, {"reseed", "export", "--dir", dir, "--out", "x.su3"}} {
		if code, _, errs := command(t, t.Context(), args...); code != 2 || !strings.Contains(errs, "the router is running: stop it for the moment") {
			t.Errorf("exit code %d: %s", code, errs)
		}
	}
}

// TestABundleGoesFromFriendToFriend exports one, and fetches from it; then a
// router serves bundles with the same key, and another fetches over HTTPS.
func TestABundleGoesFromFriendToFriend(t *testing.T) {
	config := write(t, "net.toml", "[router]\nnetwork = 97\nprivate = true\nmin_version = \"\"\nlisten = [\"127.0.0.1:0\"]\n"+
		"[http_proxy]\nenabled = false\n[status]\nenabled = false\n")
	dir := t.TempDir()
	in := func(args ...string) (int, string, string) {
		return command(t, t.Context(), append(args, "--config", config)...)
	}
	for range 3 {
		if code, _, errs := in("netdb", "import", write(t, "router.info", string(routerInfo(t))), "--dir", dir); code != 0 {
			t.Fatal(errs)
		}
	}
	give := t.TempDir()
	bundle, certificate := filepath.Join(give, "friend.su3"), filepath.Join(give, "friend.crt")
	code, out, errs := in("reseed", "export", "--dir", dir, "--out", bundle, "--signer", "me@test")
	if code != 0 || !strings.Contains(out, "friend.su3: 3 routers, signed by me@test\n") || !strings.Contains(errs, "making a key in") ||
		!strings.Contains(out, "  allium reseed fetch --dir DIR --from friend.su3 --signer-cert friend.crt\n") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	friend := filepath.Join(t.TempDir(), "friend")
	code, out, errs = in("reseed", "fetch", "--dir", friend, "--from", bundle)
	if code != 2 || !strings.Contains(errs, "unknown signer") || out != "" {
		t.Errorf("without the certificate: exit code %d\n%s%s", code, out, errs)
	}
	code, out, errs = in("reseed", "fetch", "--dir", friend, "--from", bundle, "--signer-cert", certificate)
	if code != 0 || out != "3 routers added, 0 known already\n" || !strings.Contains(errs, "3 routers, signed by me@test") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log text
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"reseed", "serve", "--dir", dir, "--config", config, "--listen", "127.0.0.1:0", "--self-signed", "127.0.0.1"},
			&streams{out: io.Discard, err: &log, env: func(string) (string, bool) { return "", false }})
	}()
	address := regexp.MustCompile(`reseed server listens" addr=(\S+) signer=me@test`)
	await(t, func() bool {
		return address.MatchString(log.String()) && strings.Contains(log.String(), "reseed bundles made")
	})
	code, out, errs = in("reseed", "fetch", "--dir", t.TempDir(), "--from", "https://"+address.FindStringSubmatch(log.String())[1]+"/",
		"--signer-cert", filepath.Join(dir, "reseed-signer.crt"), "--authority", filepath.Join(dir, "reseed-tls.crt"))
	if code != 0 || out != "3 routers added, 0 known already\n" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, log.String())
	}
}
