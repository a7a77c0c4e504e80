package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func yes() bool { return true }
func no() bool  { return false }

func uncounted(int, time.Duration, bool) {}

// quiet is v1 without an access log.
func quiet(ready func() bool) http.Handler {
	return routes(config{Release: "v1"}, ready, uncounted, slog.New(slog.DiscardHandler))
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestEachResponseNamesItsRelease(t *testing.T) {
	for _, test := range []struct {
		name, method, target string
		ready                func() bool
		code                 int
		body                 string
	}{
		{"greeting", "GET", "/", yes, 200, "hello from v1\n"},
		{"head", "HEAD", "/", yes, 200, "hello from v1\n"}, // net/http leaves out the body
		{"slow", "GET", "/slow?for=1ns", yes, 200, "hello from v1 after 1ns\n"},
		{"slow without time", "GET", "/slow", yes, 400, "for="},
		{"slow with a bad time", "GET", "/slow?for=soon", yes, 400, "for=soon"},
		{"slow with no unit", "GET", "/slow?for=5", yes, 400, "for=5"},
		{"slow in the past", "GET", "/slow?for=-1s", yes, 400, "for=-1s"},
		{"slow for a year", "GET", "/slow?for=8760h", yes, 400, "10m0s"},
		{"alive", "GET", "/livez", yes, 200, "alive\n"},
		{"alive while it leaves", "GET", "/livez", no, 200, "alive\n"},
		{"ready", "GET", "/readyz", yes, 200, "ready\n"},
		{"not ready", "GET", "/readyz", no, 503, "not ready\n"},
		{"panic", "GET", "/readyz", func() bool { panic("boom") }, 500, ""},
		{"unknown path", "GET", "/nowhere", yes, 404, "404 Not Found\n"},
		{"slash too many", "GET", "/livez/", yes, 404, "404 Not Found\n"},
		{"wrong method", "DELETE", "/echo", yes, 405, "405 Method Not Allowed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := ask(quiet(test.ready), test.method, test.target)
			if w.Code != test.code {
				t.Errorf("status %d, want %d", w.Code, test.code)
			}
			contains(t, w.Body.String(), test.body)
			if got := w.Header().Values("Release"); len(got) != 1 || got[0] != "v1" {
				t.Errorf("Release: %q, want v1 once", got)
			}
		})
	}
}

func TestSlowAnswersAfterThatTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ask(quiet(yes), "GET", "/slow?for=5s")
		if got := time.Since(begun); got != 5*time.Second {
			t.Errorf("answered after %v", got)
		}
	})
}

func TestSlowEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		quiet(yes).ServeHTTP(w, httptest.NewRequest("GET", "/slow?for=5m", nil).WithContext(ctx))
		if got := time.Since(begun); got != time.Second || w.Code != clientGone {
			t.Errorf("ended after %v with %d", got, w.Code)
		}
	})
}

// A body of 1 MiB is more than net/http reads of one by itself once a response
// has begun, and more than it buffers.
func TestEchoSendsBackAllOfTheBody(t *testing.T) {
	server := httptest.NewServer(quiet(yes))
	defer server.Close()
	server.Client().Timeout = 10 * time.Second // what net/http swallows, the client waits for
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, reader := range map[string]io.Reader{
		"of known length": bytes.NewReader(body),
		"in chunks":       iotest.HalfReader(bytes.NewReader(body)),
		"empty":           http.NoBody,
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := server.Client().Post(server.URL+"/echo", "text/x-test; charset=x", reader)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if want := body; reader != http.NoBody && !bytes.Equal(got, want) {
				t.Errorf("%d bytes, not the %d that were sent", len(got), len(want))
			}
			if kind := resp.Header.Get("Content-Type"); kind != "text/x-test; charset=x" {
				t.Errorf("Content-Type: %s", kind)
			}
		})
	}
}

// Each byte waits for the echo of the one before. Broken on purpose, and seen red: nobody
// flushes.
func TestEchoSendsBackABodyWhileItTrickles(t *testing.T) {
	for name, speak := range map[string]func(*http.Protocols){"HTTP/1.1": http1, "HTTP/2": h2c} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(quiet(yes))
			server.Config.Protocols = new(http.Protocols)
			speak(server.Config.Protocols)
			server.Start()
			defer server.Close()
			body, feed := io.Pipe()
			defer time.AfterFunc(10*time.Second, func() { feed.CloseWithError(io.ErrUnexpectedEOF) }).Stop()
			go feed.Write([]byte{0})
			resp, err := newClient(t, speak).Post(server.URL+"/echo", "", body)
			must(t, err)
			defer resp.Body.Close()
			for n := range byte(9) {
				got := make([]byte, 1)
				if _, err := io.ReadFull(resp.Body, got); err != nil || got[0] != n {
					t.Fatalf("got %v, %v, want the echo of %d", got, err, n)
				}
				_, err := feed.Write([]byte{n + 1})
				must(t, err)
			}
			must(t, feed.Close())
			if rest, err := io.ReadAll(resp.Body); len(rest) != 1 || err != nil {
				t.Errorf("the rest is %v, %v", rest, err)
			}
		})
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("boom") }

func TestHalfAResponseIsNotPassedOffAsAWholeOne(t *testing.T) {
	for name, end := range map[string]io.Reader{
		"body breaks off": iotest.ErrReader(errors.New("reset")),
		"handler panics":  panicReader{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != http.ErrAbortHandler {
					t.Errorf("recovered %v, want the connection to be aborted", got)
				}
			}()
			body := io.MultiReader(strings.NewReader("half"), end)
			quiet(yes).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/echo", body))
		})
	}
}

func TestPanicIsLoggedWithItsStack(t *testing.T) {
	var log lines
	h := routes(config{Release: "v1"}, func() bool { panic("boom") }, uncounted, log.logger())
	ask(h, "GET", "/readyz")
	line := log.only(t)
	if line["msg"] != "panic" || line["error"] != "boom" || line["path"] != "/readyz" {
		t.Errorf("logged %v", line)
	}
	contains(t, line["stack"].(string), "routes_test.go")
}

func TestAccessLogHasOneLineForEachRequest(t *testing.T) {
	var log lines
	h := routes(config{Release: "v1", AccessLog: true}, yes, uncounted, log.logger())
	ask(h, "GET", "/nowhere?secret=1")
	line := log.only(t)
	for key, want := range map[string]any{
		"msg": "request", "method": "GET", "path": "/nowhere", "status": 404.0,
		"bytes": float64(len("404 Not Found\n")), "remote": "192.0.2.1:1234",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if _, isSeconds := line["duration"].(float64); !isSeconds {
		t.Errorf("duration is %v", line["duration"])
	}
}

func TestAccessLogKnowsOfPanics(t *testing.T) {
	var log lines
	h := routes(config{Release: "v1", AccessLog: true}, func() bool { panic("boom") }, uncounted, log.logger())
	ask(h, "GET", "/readyz")
	all := log.all(t)
	if len(all) != 2 || all[1]["msg"] != "request" || all[1]["status"] != 500.0 {
		t.Errorf("logged %v", all)
	}
}

func TestAccessLogCanBeOff(t *testing.T) {
	var log lines
	ask(routes(config{Release: "v1"}, yes, uncounted, log.logger()), "GET", "/")
	if all := log.all(t); len(all) != 0 {
		t.Errorf("logged %v", all)
	}
}
