//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// console is what an i2pd tells on its web console.
type console struct {
	routers, floodfills, leaseSets int
	clientTunnels, transitTunnels  int
	// success is the share of tunnel builds that succeeded, in percent.
	success int
	// inbound and outbound are how many exploratory tunnels stand.
	inbound, outbound int
}

// String is for logs.
func (c console) String() string {
	return fmt.Sprintf("%d routers, %d floodfills, %d LeaseSets, %d tunnels of clients and %d in transit, %d %% of builds succeeded, exploratory tunnels %d in %d out",
		c.routers, c.floodfills, c.leaseSets, c.clientTunnels, c.transitTunnels, c.success, c.inbound, c.outbound)
}

var (
	errConsole = errors.New("not what the web console shows")
	listItem   = regexp.MustCompile(`(?s)<div class="listitem">(.*?)</div>`)
	tunnelText = regexp.MustCompile(`(?s)class="tunnel (\w+)">(.*?)</span>`)
)

// arrow stands before and between the hops of a tunnel on the console.
const arrow = "&#8658;"

// readConsole reads the main page and that of tunnels.
func readConsole(base string) (c console, err error) {
	main, err := get(base)
	if err != nil {
		return c, err
	}
	for _, f := range []struct {
		title string
		to    *int
	}{
		{"Routers", &c.routers}, {"Floodfills", &c.floodfills}, {"LeaseSets", &c.leaseSets},
		{"Client Tunnels", &c.clientTunnels}, {"Transit Tunnels", &c.transitTunnels},
		{"Tunnel creation success rate", &c.success},
	} {
		if *f.to, err = number(main, f.title); err != nil {
			return c, err
		}
	}
	tunnels, err := get(base + "?page=tunnels")
	if err != nil {
		return c, err
	}
	in, out, ok := strings.Cut(tunnels, "Outbound tunnels")
	if !ok {
		return c, fmt.Errorf("%w: no outbound tunnels", errConsole)
	}
	c.inbound, c.outbound = exploratory(in), exploratory(out)
	return c, nil
}

// number is what stands behind a title.
func number(page, title string) (int, error) {
	m := regexp.MustCompile(`<b>` + title + `:</b>\s*(\d+)`).FindStringSubmatch(page)
	if m == nil {
		return 0, fmt.Errorf("%w: no %q", errConsole, title)
	}
	return strconv.Atoi(m[1])
}

// exploratory counts the exploratory tunnels that stand and have a hop.
func exploratory(part string) (count int) {
	for _, item := range listItem.FindAllStringSubmatch(part, -1) {
		m := tunnelText.FindStringSubmatch(item[1])
		if m != nil && m[1] == "established" && strings.Contains(m[2], "exploratory") && strings.Count(item[1], arrow) > 1 {
			count++
		}
	}
	return count
}

// get gets a page from a server of this machine.
func get(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(b), err
}
