package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/cmd/server/metrics"
)

// Broken on purpose, and seen red:
//   - an aborted response counts by its code; endless ones have a duration; a panic is not
//     seen: TestEachRequestIsCountedOnce

// sample is a line of the text format: a name, labels in braces, and a value.
var (
	sample = regexp.MustCompile(`^(overlap\w*)(?:\{(.*)\})? (\S+)$`)
	label  = regexp.MustCompile(`\w+="((?:[^"\\]|\\.)*)"`)
)

// values are all series that begin with overlap, named with the values of their labels. Of
// a histogram it is the count.
func values(t testing.TB, exposed string) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(exposed) {
		part := sample.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if part == nil || strings.HasSuffix(part[1], "_bucket") || strings.HasSuffix(part[1], "_sum") {
			continue
		}
		name := strings.TrimSuffix(part[1], "_count")
		for _, l := range label.FindAllStringSubmatch(part[2], -1) {
			name += " " + l[1]
		}
		if _, twice := all[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		value, err := strconv.ParseFloat(part[3], 64)
		must(t, err)
		all[name] = value
	}
	return all
}

// eventually waits for what happens behind an answer.
func eventually(t testing.TB, is func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for tick := time.Tick(time.Millisecond); !is(); {
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatal("it never was")
		}
	}
}

// Each of these is sent once over HTTP/1, and once over HTTP/2, but for WebSockets.
func TestEachRequestIsCountedOnce(t *testing.T) {
	m := metrics.New("v1", "", "")
	ready := func() bool { panic("boom") }
	h := routes(config{Release: "v1"}, ready, m.Request, slog.New(slog.DiscardHandler))
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	http1(server.Config.Protocols)
	h2c(server.Config.Protocols)
	server.Start()
	defer server.Close()
	for _, speak := range []func(*http.Protocols){http1, h2c} {
		client := newClient(t, speak)
		askAround(t, client, server.URL)
		breakOff(t, client, server.URL)
		leave(t, client, server.URL+"/slow?for=1m")
		leave(t, client, server.URL+"/events")
	}
	hijack(t, server.URL+"/ws")

	want := map[string]float64{
		"1xx": 1, "2xx": 2 * 5, "3xx": 0, "4xx": 2 * 3, "5xx": 2 * 1, "aborted": 2 * 1,
	}
	counted := func() map[string]float64 {
		w := httptest.NewRecorder()
		m.Private().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return values(t, w.Body.String())
	}
	eventually(t, func() bool {
		sum := 0.0
		for code := range want {
			sum += counted()["overlap_http_requests_total "+code]
		}
		return sum >= 21
	})
	got := counted()
	for code, n := range want {
		if got["overlap_http_requests_total "+code] != n {
			t.Errorf("%s: %v, want %v", code, got["overlap_http_requests_total "+code], n)
		}
	}
	if n := got["overlap_http_request_duration_seconds"]; n != 21-1-2 {
		t.Errorf("%v durations, want all but those of the WebSocket and the event streams", n)
	}
}

func askAround(t *testing.T, client *http.Client, url string) {
	t.Helper()
	for _, ask := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/", 200}, {"HEAD", "/", 200}, {"GET", "/bytes?n=100000", 200}, {"POST", "/echo", 200},
		{"GET", "/nowhere", 404}, {"GET", "/echo", 405}, {"GET", "/readyz", 500},
	} {
		r, err := http.NewRequestWithContext(t.Context(), ask.method, url+ask.path, strings.NewReader(""))
		must(t, err)
		resp, err := client.Do(r)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != ask.code {
			t.Errorf("%s %s: %d", ask.method, ask.path, resp.StatusCode)
		}
	}
}

// hijack opens a WebSocket, and goes away.
func hijack(t *testing.T, url string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	for key, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %s", resp.Status)
	}
}

// breakOff sends half a body, and gets half an answer.
func breakOff(t *testing.T, client *http.Client, url string) {
	t.Helper()
	body, feed := io.Pipe()
	go feed.Write(make([]byte, 64<<10))
	resp, err := client.Post(url+"/echo", "", body)
	must(t, err)
	defer resp.Body.Close()
	feed.CloseWithError(io.ErrUnexpectedEOF)
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("half a response is a whole one")
	}
}

// leave asks, and does not wait for the end.
func leave(t *testing.T, client *http.Client, url string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, err)
	if resp, err := client.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
