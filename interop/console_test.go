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

// carried is what a router has carried in one tunnel of others.
type carried struct {
	role     string // as Allium calls it
	messages int
}

// The roles.
const (
	participant = "participant"
	gateway     = "inbound gateway"
	endpoint    = "outbound endpoint"
)

// What i2pd counts for a tunnel message: that of a participant has the header
// of an I2NP message.
const (
	tunnelMessage = 1028
	withHeader    = tunnelMessage + 16
)

var transitText = regexp.MustCompile(`^\s*(` + arrow + `)?\s*\d+\s*(` + arrow + `)?\s*(\d+)\s*$`)

// readTransit reads the page of tunnels in transit.
func readTransit(base string) (all []carried, err error) {
	page, err := get(base + "?page=transit_tunnels")
	if err != nil {
		return nil, err
	}
	for _, item := range listItem.FindAllStringSubmatch(page, -1) {
		m := transitText.FindStringSubmatch(strings.ReplaceAll(item[1], "&nbsp;", " "))
		if m == nil {
			return nil, fmt.Errorf("%w: tunnel %q", errConsole, item[1])
		}
		count, err := strconv.Atoi(m[3])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errConsole, err)
		}
		switch {
		case m[1] == "":
			all = append(all, carried{gateway, count / tunnelMessage})
		case m[2] == "":
			all = append(all, carried{endpoint, count / tunnelMessage})
		default:
			all = append(all, carried{participant, count / withHeader})
		}
	}
	return all, nil
}

// published tells whether an i2pd has the LeaseSet of a Destination stored as
// a floodfill, or has found it.
func published(base, b32 string) (bool, error) {
	page, err := get(base + "?page=leasesets")
	return strings.Contains(page, strings.TrimSuffix(b32, ".b32.i2p")), err
}

// tested counts the tunnels of an i2pd, by whether they pass one of those
// routers and whether their last test failed.
func tested(base string, through func(ident string) bool) (ok, failed [2]int, err error) {
	page, err := get(base + "?page=tunnels")
	if err != nil {
		return ok, failed, err
	}
	for _, item := range listItem.FindAllStringSubmatch(page, -1) {
		m := tunnelText.FindStringSubmatch(item[1])
		if m == nil {
			continue
		}
		passes := 0
		for hop := range strings.SplitSeq(item[1], arrow) {
			if through(strings.TrimSpace(hop)) {
				passes = 1
			}
		}
		switch m[1] {
		case "established":
			ok[passes]++
		case "failed":
			failed[passes]++
		}
	}
	return ok, failed, nil
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
