//go:build interop

package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
)

const (
	// reseedNetwork is another network than that of the other tests, and these
	// are the routers of it: one that trusts the signer and one that does not.
	reseedNetwork        = 79
	trusting, suspicious = 51, 52

	reseedLimit = 60 * time.Second
)

// handedOut are those whose RouterInfos are handed out.
var handedOut = []int{41, 42, 43}

// reseedAddress is where the reseed server listens.
var reseedAddress = netip.MustParseAddrPort("198.18.40.1:8443")

// TestI2pdReseedsFromUs starts an i2pd that knows nobody, and has our
// server's signer for the only one.
func TestI2pdReseedsFromUs(t *testing.T) {
	root := workDir(t)
	var added, files []string
	for _, num := range handedOut {
		info, file := identityOfI2pd(t, root, num)
		added, files = append(added, "RouterInfo added: "+info.Hash().String()), append(files, file)
	}
	server := filepath.Join(root, "server")
	startReseedServer(t, server, files)
	signer, err := os.ReadFile(filepath.Join(server, "reseed-signer.crt"))
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("https://%s/", reseedAddress)
	for _, c := range []struct {
		num  int
		said []string
	}{{trusting, added}, {suspicious, []string{"SU3 verification failed"}}} {
		dir := filepath.Join(root, fmt.Sprint(c.num))
		certificate := filepath.Join(dir, "certificates", "reseed", "server_at_test.crt")
		if err := os.MkdirAll(filepath.Dir(certificate), 0o700); err != nil {
			t.Fatal(err)
		}
		if c.num == trusting {
			if err := os.WriteFile(certificate, signer, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p := newcomerI2pd(t, root, c.num, url)
		eventually(t, fmt.Sprintf("i2pd %d", c.num), reseedLimit, func() (bool, string) {
			b, err := os.ReadFile(filepath.Join(dir, "router.log"))
			if ended, how := p.ended(); ended {
				t.Fatalf("i2pd %d ended: %v\n%s", c.num, how, b)
			}
			missing := slices.DeleteFunc(slices.Clone(c.said), func(line string) bool { return strings.Contains(string(b), line) })
			return len(missing) == 0, fmt.Sprintf("%q not logged, %v", missing, err)
		})
	}
}

// identityOfI2pd lets an i2pd make its identity, and tells its file.
func identityOfI2pd(t *testing.T, root string, num int) (info *data.RouterInfo, file string) {
	t.Helper()
	p := newcomerI2pd(t, root, num, "")
	file = filepath.Join(root, fmt.Sprint(num), "router.info")
	eventually(t, "an identity", reseedLimit, func() (bool, string) {
		b, err := os.ReadFile(file)
		if err == nil {
			info, err = data.ParseRouterInfo(b)
		}
		return err == nil && len(info.Addresses()) > 0, fmt.Sprint(err)
	})
	p.terminate()
	_ = p.wait() // i2pd sometimes fails on its way out
	return info, file
}

// newcomerConf is the configuration of an i2pd that reseeds.
const newcomerConf = `log = file
logfile = %[1]s
loglevel = debug
host = 198.18.%[2]d.1
address4 = 198.18.%[2]d.1
port = %[3]d
netid = %[4]d
nat = false
ipv6 = false
[ntcp2]
published = true
[ssu2]
enabled = false
[reseed]
verify = true
threshold = 25
urls = %[5]s
[http]
enabled = false
[httpproxy]
enabled = false
[socksproxy]
enabled = false
[sam]
enabled = false
[upnp]
enabled = false
[nettime]
enabled = false
[addressbook]
enabled = false
[precomputation]
elgamal = false
`

// newcomerI2pd starts an i2pd that knows nobody. It ends with the test.
func newcomerI2pd(t *testing.T, root string, num int, url string) *process {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprint(num))
	if err := os.MkdirAll(filepath.Join(dir, "certificates"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "i2pd.conf")
	text := fmt.Sprintf(newcomerConf, filepath.Join(dir, "router.log"), num, 20000+num, reseedNetwork, url)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := start(fmt.Sprintf("i2pd %d", num), filepath.Join(dir, "output.txt"), *i2pdBinary,
		"--datadir="+dir, "--conf="+conf, "--certsdir="+filepath.Join(dir, "certificates"), "--pidfile="+filepath.Join(dir, "i2pd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.terminate(); _ = p.wait() })
	return p
}

// startReseedServer starts Allium as a reseed server that knows the routers of
// files, until it has bundles. It ends with the test.
func startReseedServer(t *testing.T, dir string, files []string) {
	t.Helper()
	settings := dir + ".toml"
	conf := fmt.Sprintf("[router]\nnetwork = %d\nprivate = true\nmin_version = \"\"\nlisten = [\"198.18.40.1:20040\"]\n"+
		"[http_proxy]\nenabled = false\n[status]\nenabled = false\n", reseedNetwork)
	if err := os.WriteFile(settings, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	binary := os.Getenv(binaryVariable)
	args := append([]string{binary, "netdb", "import", "--dir", dir, "--config", settings}, files...)
	known, err := start("allium netdb import", filepath.Join(dir, "import.log"), args...)
	if err == nil {
		err = known.wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	logFile := filepath.Join(dir, "allium.log")
	p, err := start("allium", logFile, binary, "reseed", "serve", "--dir", dir, "--config", settings,
		"--listen", reseedAddress.String(), "--self-signed", reseedAddress.Addr().String(), "--signer", "server@test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.terminate(); _ = p.wait() })
	eventually(t, "bundles", reseedLimit, func() (bool, string) {
		b, err := os.ReadFile(logFile)
		return strings.Contains(string(b), "reseed bundles made"), fmt.Sprintf("%v %s", err, b)
	})
}
