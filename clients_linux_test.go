package overlap

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Clients that others have written, through ten upgrades each. Proxies are in bench.
//
// Broken on purpose, and seen red:
//
//   - Linger returns at once: TestWrkLosesNothing
//   - no first GOAWAY: TestH2loadLosesNothing

const manyUpgrades = 10

// tool finds a program, or skips the test and names its package. Where
// OVERLAP_NEED_TOOLS is set, as it is in CI, a tool that is missing is an error.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("OVERLAP_NEED_TOOLS") != "":
		t.Fatalf("%v: apt-get install %s", err, pkg)
	default:
		t.Skipf("%v: apt-get install %s", err, pkg)
	}
	return ""
}

// running is a client that runs beside the test.
type running struct {
	*exec.Cmd
	t   *testing.T
	out printed
}

// printed is what a client has printed so far.
type printed struct {
	mu    sync.Mutex
	news  sync.Cond
	bytes bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.news.Broadcast()
	return p.bytes.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes.String()
}

func run(t *testing.T, name string, args ...string) *running {
	t.Helper()
	r := &running{Cmd: exec.CommandContext(t.Context(), name, args...), t: t}
	r.out.news.L = &r.out.mu
	r.Stdout, r.Stderr = &r.out, &r.out
	r.WaitDelay = time.Second
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// says waits for the end and returns what was printed.
func (r *running) says() string {
	r.t.Helper()
	if err := r.Wait(); err != nil {
		r.t.Errorf("%v: %v\n%s", r.Args, err, cut(r.out.String()))
	}
	return r.out.String()
}

// awaits waits until the client has printed a word.
func (r *running) awaits(word string) {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	for !bytes.Contains(r.out.bytes.Bytes(), []byte(word)) {
		r.out.news.Wait()
	}
}

// cut returns the end of a long text.
func cut(text string) string { return text[max(0, len(text)-2000):] }

// number returns the number that a pattern finds in a text.
func number(t *testing.T, text, pattern string) int {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %q in\n%s", pattern, cut(text))
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// generations is a service that is upgraded again and again.
type generations struct {
	t        *testing.T
	config   config
	current  *instance
	n        int
	requests int // that the verdicts say were answered
}

func begin(t *testing.T, c config) *generations {
	t.Helper()
	c.Release = "v1"
	g := &generations{t: t, current: start(t, "serve", c), n: 1}
	c.Addr = g.current.addr
	g.config = c
	return g
}

func (g *generations) upgrade() {
	g.t.Helper()
	g.n++
	g.config.Release = fmt.Sprintf("v%d", g.n)
	next := start(g.t, "serve", g.config)
	g.requests += int(g.current.leaves().Requests)
	g.current = next
}

// end retires the last release and returns how many requests all of them answered.
func (g *generations) end() int {
	g.t.Helper()
	g.requests += int(g.current.leaves().Requests)
	return g.requests
}

// url is where the service is.
func (g *generations) url(path string) string {
	if g.config.TLS {
		return "https://" + g.current.addr + path
	}
	return "http://" + g.current.addr + path
}

// authority writes down the certificate that a client has to believe.
func authority(t *testing.T) string {
	t.Helper()
	cert, _ := certificate()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	if err := os.WriteFile(path, block, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// curl asks one request after the other on a connection that it keeps, and says when it
// does one again on a new one; a curl for each request, a slow upload and a slow download
// go on beside it. (Debian 12's curl cannot use an HTTP/2 connection in clear twice,
// whoever serves it.)
func TestCurlLosesNothing(t *testing.T) {
	curl := tool(t, "curl", "curl")
	for name, conf := range map[string]config{
		"HTTP/1.1":         {},
		"HTTP/1.1 and TLS": {TLS: true, NoHTTP2: true},
		"HTTP/2":           {TLS: true},
		"HTTP/2 in clear":  {H2C: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf.Linger = DefaultLingerTimeout // longer than curl pauses on a busy machine
			g := begin(t, conf)
			c := curler{t: t, path: curl, g: g, common: []string{"-sS", "--fail", "--cacert", authority(t)}}
			if conf.H2C {
				c.common = append(c.common, "--http2-prior-knowledge")
			}
			keep := func() {}
			if !conf.H2C {
				keep = c.keep(4000)
			}
			for range manyUpgrades {
				c.through(g.upgrade)
			}
			keep()
			if got := g.end(); got != c.asked {
				t.Errorf("%d requests were sent, and %d answered", c.asked, got)
			}
		})
	}
}

// curler runs curl.
type curler struct {
	t      *testing.T
	path   string
	common []string // arguments
	g      *generations
	asked  int
}

func (c *curler) start(args ...string) *running {
	c.t.Helper()
	c.asked++
	return run(c.t, c.path, append(c.common, args...)...)
}

// keep asks n times on one connection after the other. What it returns waits for all the
// answers.
func (c *curler) keep(n int) (end func()) {
	c.t.Helper()
	many := c.start("-v", "--rate", "600/s", "-d", "x", c.g.url("/?[1-"+strconv.Itoa(n)+"]"))
	c.asked += n - 1
	return func() {
		c.t.Helper()
		if said := many.says(); strings.Contains(said, "retry") || strings.Count(said, "\n< HTTP/") != n {
			c.t.Errorf("it tried again, or did not get %d answers:\n%s", n, cut(said))
		}
	}
}

// through has an upload and a download on their way during an upgrade.
func (c *curler) through(upgrade func()) {
	c.t.Helper()
	body := filepath.Join(c.t.TempDir(), "body")
	if err := os.WriteFile(body, []byte(bigBody[:1<<20]), 0o644); err != nil {
		c.t.Fatal(err)
	}
	up := c.start("--limit-rate", "2M", "-H", "Expect:", "--data-binary", "@"+body, c.g.url("/digest"))
	down := c.start("--limit-rate", "2M", c.g.url("/medium"))
	c.g.current.awaitBegun("/digest")
	upgrade()
	if got := up.says(); got != digestOf(bigBody[:1<<20]) {
		c.t.Errorf("the upload was answered %q", cut(got))
	}
	if got := down.says(); got != bigBody[:1<<20] {
		c.t.Errorf("%d bytes of the download arrived", len(got))
	}
	c.start("-d", "hi", c.g.url("/")).says()
}

func TestWrkLosesNothing(t *testing.T) {
	wrk := tool(t, "wrk", "wrk")
	for name, conf := range map[string]config{"in clear": {}, "over TLS": {TLS: true, NoHTTP2: true}} {
		t.Run(name, func(t *testing.T) {
			const conns = 16
			g := begin(t, conf)
			load := run(t, wrk, "-t2", "-c", strconv.Itoa(conns), "-d8s", g.url("/"))
			for range manyUpgrades {
				g.upgrade()
			}
			said := load.says()
			if strings.Contains(said, "Socket errors") || strings.Contains(said, "Non-2xx") {
				t.Errorf("wrk says\n%s", said)
			}
			// It breaks off what is on its way at the end.
			got, answered := number(t, said, `(\d+) requests in`), g.end()
			if got == 0 || answered < got || answered > got+conns {
				t.Errorf("wrk has %d answers, %d were given", got, answered)
			}
		})
	}
}

// h2load does not connect again after a GOAWAY, so there is one for each upgrade. What it
// calls started may still be in its own queue when the GOAWAY comes: nghttp2 does not send
// that any more, and h2load calls it a failure. So what it has got is held against what the
// servers have answered, and have seen nothing beside.
func TestH2loadLosesNothing(t *testing.T) {
	h2load := tool(t, "h2load", "nghttp2-client")
	for name, conf := range map[string]config{"over TLS": {TLS: true}, "in clear": {H2C: true}} {
		t.Run(name, func(t *testing.T) {
			g := begin(t, conf)
			started, succeeded := 0, 0
			for range manyUpgrades {
				load := run(t, h2load, "-n1000000", "-c8", "-m25", g.url("/"))
				load.awaits("Application protocol") // is known, and the first streams are on their way
				g.upgrade()
				load.Wait() // it calls what it could not start a failure, too
				said := load.out.String()
				started += number(t, said, `(\d+) started`)
				succeeded += number(t, said, `(\d+) succeeded`)
			}
			if answered := g.end(); answered != succeeded || answered == 0 {
				t.Errorf("of %d requests that were started %d succeeded and %d were answered", started, succeeded, answered)
			}
			t.Logf("%d started, %d succeeded", started, succeeded)
		})
	}
}
