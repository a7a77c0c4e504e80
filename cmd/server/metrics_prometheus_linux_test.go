package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	deployed  = "../../deploy/prometheus/"
	dashboard = "../../deploy/grafana/overlap.json"
)

func TestPromtoolFindsNothing(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool", "prometheus")
	watched(t, "127.0.0.1:0", freeAddr(t), "promtool-v1")
	exposed := call(nil, "metrics", "--release", "promtool-v1")
	for _, args := range [][]string{
		{"check", "config", deployed + "prometheus.yml"},
		{"check", "rules", deployed + "overlap.rules.yml"},
		{"test", "rules", deployed + "overlap.rules.test.yml"},
		{"check", "metrics"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Stdin = strings.NewReader(exposed.stdout)
		if out, err := cmd.CombinedOutput(); err != nil || args[1] == "metrics" && len(out) > 0 {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}

// The commands of the help text, word for word but for the release and the time.
func TestCurlGetsAProfileAsTheHelpSays(t *testing.T) {
	t.Parallel()
	tool(t, "curl", "curl")
	tool(t, "jq", "jq")
	watched(t, "127.0.0.1:0", freeAddr(t), "curl-v2")
	_, script, found := strings.Cut(metricsHelp, "and the instance:\n")
	if !found {
		t.Fatal("the help has no commands")
	}
	script = strings.NewReplacer(`"v2"`, `"curl-v2"`, "seconds=10", "seconds=1").Replace(script)
	cmd := exec.CommandContext(t.Context(), "bash", "-ec", `server() { `+asServer+`=1 "$0" "$@"; }`+"\n"+script, os.Args[0])
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Type: cpu") {
		t.Errorf("%v: %s", err, out)
	}
}

// prom is a Prometheus that scrapes an admin address each second.
type prom struct {
	t   *testing.T
	url string
}

func scrapedBy(t *testing.T, program, admin string) *prom {
	t.Helper()
	rules, err := filepath.Abs(deployed + "overlap.rules.yml")
	must(t, err)
	text, err := os.ReadFile(deployed + "prometheus.yml")
	must(t, err)
	for from, to := range map[string]string{
		"scrape_interval: 15s": "{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}",
		"[overlap.rules.yml]":  "[" + rules + "]",
		"127.0.0.1:9100":       admin,
	} {
		if !bytes.Contains(text, []byte(from)) {
			t.Fatalf("prometheus.yml has no %s", from)
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	}
	text = bytes.Replace(text, []byte("global:\n  "), []byte("global: "), 1)
	p := &prom{t, "http://" + freeAddr(t)}
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+write(t, "prometheus.yml", string(text)),
		"--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+strings.TrimPrefix(p.url, "http://"), "--log.level=warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = t.Output()
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // the context of the test has ended by then
	eventually(t, func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return p
}

// series is one of what a query returns.
type series struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any // of a range: times and values
}

func (p *prom) api(path string, query url.Values, into any) error {
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

func (p *prom) query(expr string) []series {
	p.t.Helper()
	var data struct{ Result []series }
	if err := p.api("query", url.Values{"query": {expr}}, &data); err != nil {
		p.t.Errorf("%s: %v", expr, err)
	}
	return data.Result
}

// sum is that of all values.
func (p *prom) sum(expr string) (sum float64) {
	p.t.Helper()
	for _, s := range p.query(expr) {
		sum += number(p.t, s.Value[1])
	}
	return sum
}

func number(t testing.TB, text any) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text.(string), 64)
	must(t, err)
	return n
}

// visit asks until ctx ends, and counts what was answered. Nothing is tried twice.
func visit(t *testing.T, ctx context.Context, addr string) (answered func() int64) {
	var n atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		client := newClient(t, http1)
		all.Go(func() {
			for tick := time.Tick(5 * time.Millisecond); ctx.Err() == nil; <-tick {
				resp, err := client.Get("http://" + addr + "/")
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("%s, %v", resp.Status, err)
				}
				n.Add(1)
			}
		})
	}
	return func() int64 { all.Wait(); return n.Load() }
}

// Three releases, one after another, under load.
func TestPrometheusSeesNoGapAndNoStepBack(t *testing.T) {
	program, admin := tool(t, "prometheus", "prometheus"), freeAddr(t)
	now, addr := watched(t, "127.0.0.1:0", admin, "prom-v1")
	p := scrapedBy(t, program, admin)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	answered := visit(t, ctx, addr)
	for i, release := range []string{"prom-v2", "prom-v3"} {
		p.awaitScrapes(fmt.Sprintf("prom-v%d", i+1))
		next, _ := watched(t, addr, admin, release)
		now.signal(t, syscall.SIGTERM)
		if code := now.exit(t); code != exitDrained {
			t.Errorf("exit code %d", code)
		}
		now = next
	}
	p.awaitScrapes("prom-v3")
	stop()
	n := float64(answered())
	eventually(t, func() bool { return p.sum("overlap_http_requests_total") >= n })
	for expr, want := range map[string]float64{
		"overlap_http_requests_total": n, `overlap_http_requests_total{code="2xx"}`: n, "overlap_answered_requests_total": n,
		"overlap_http_request_duration_seconds_count": n, `overlap_retirements_total{lossless="true"}`: 2, `overlap_retirements_total{lossless="false"}`: 0,
	} {
		if got := p.sum(expr); got != want {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
	p.seesNoGap()
	p.seesNoStepBack()
	p.knowsAllThatIsAsked()
	if firing := p.query(`ALERTS{alertstate="firing"}`); len(firing) > 0 {
		t.Errorf("there are alerts: %v", firing)
	}
	if len(of(scraped(t, admin), "overlap_retirements_total", "prom-v1", "true")) != 1 {
		t.Error("the first release is forgotten")
	}
}

// awaitScrapes waits until a release has been seen a few times.
func (p *prom) awaitScrapes(release string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		return p.sum(fmt.Sprintf(`count_over_time(overlap_http_requests_total{code="2xx", release=%q}[1m])`, release)) >= 3
	})
}

// longest is how far apart two scrapes may be on a busy machine. One second is asked for.
const longest = 2.5

func (p *prom) seesNoGap() {
	p.t.Helper()
	for _, expr := range []string{"up[1m]", `overlap_http_requests_total{code="2xx"}[1m]`} {
		found := p.query(expr)
		if len(found) == 0 {
			p.t.Errorf("%s: there is none", expr)
		}
		for _, s := range found {
			for i, v := range s.Values {
				if s.Metric["__name__"] == "up" && v[1] != "1" {
					p.t.Errorf("a scrape was not answered: %v", s)
				}
				if i > 0 && v[0].(float64)-s.Values[i-1][0].(float64) > longest {
					p.t.Errorf("%v has a gap: %v", s.Metric, s.Values)
				}
			}
		}
	}
}

func (p *prom) seesNoStepBack() {
	p.t.Helper()
	found := p.query(`{__name__=~"overlap_.+_(total|count|sum|bucket)"}[1m]`)
	if len(found) < 3*20 {
		p.t.Errorf("there are %d series of three releases", len(found))
	}
	for _, s := range found {
		for i := range s.Values[1:] {
			if number(p.t, s.Values[i+1][1]) < number(p.t, s.Values[i][1]) {
				p.t.Errorf("%v goes back: %v", s.Metric, s.Values)
			}
		}
	}
}

// knowsAllThatIsAsked asks everything that the dashboard asks, and sees that each metric
// of the dashboard and of the alerts is one that we have.
func (p *prom) knowsAllThatIsAsked() {
	p.t.Helper()
	var names []string
	if err := p.api("label/__name__/values", nil, &names); err != nil {
		p.t.Error(err)
	}
	text, err := os.ReadFile(dashboard)
	must(p.t, err)
	variables := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1m", "$job", ".+")
	exprs := exprsIn(p.t, text)
	if len(exprs) < 15 {
		p.t.Errorf("the dashboard asks only %q", exprs)
	}
	for _, expr := range exprs {
		p.query(variables.Replace(expr))
	}
	rules, err := os.ReadFile(deployed + "overlap.rules.yml")
	must(p.t, err)
	metric := regexp.MustCompile(`\boverlap_[a-z_]+`)
	for _, name := range metric.FindAllString(string(text)+string(rules), -1) {
		if !slices.Contains(names, name) {
			p.t.Errorf("nobody has %s", name)
		}
	}
	p.rulesAreWell()
}

func (p *prom) rulesAreWell() {
	p.t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.api("rules", nil, &rules); err != nil {
		p.t.Error(err)
	}
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				p.t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if n == 0 {
		p.t.Error("there are no rules")
	}
}

// exprsIn are all values of the key "expr", wherever it is.
func exprsIn(t testing.TB, text []byte) (exprs []string) {
	t.Helper()
	var tree any
	must(t, json.Unmarshal(text, &tree))
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, n := range node {
				walk(n)
			}
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(node)) {
				if expr, is := node[key].(string); is && key == "expr" {
					exprs = append(exprs, expr)
				}
				walk(node[key])
			}
		}
	}
	walk(tree)
	return exprs
}
