package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Broken on purpose, and seen red:
//   - nobody is told; all are told at once: TestAnEventStreamEndsWithALastEventAndAHint
//   - numbers begin with 1: the same
//   - a write has no deadline: TestAClientThatReadsNoEventsDoesNotHoldItsHandler
//   - a retirement has no deadline: TestAClientThatReadsNoEventsDoesNotHoldTheExit
//   - the deadline stays when the write is done: TestAStreamThatIsQuietForLongGoesOn

// event is one of a stream.
type event struct {
	fields map[string]string
	at     time.Time
}

// readEvents returns all the events of a stream that ends well.
func readEvents(r io.Reader) (all []event, err error) {
	fields := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if lines.Text() == "" {
			all = append(all, event{fields, time.Now()})
			fields = map[string]string{}
			continue
		}
		name, value, _ := strings.Cut(lines.Text(), ": ")
		fields[name] = value
	}
	return all, lines.Err()
}

func TestAnEventStreamEndsWithALastEventAndAHint(t *testing.T) {
	t.Parallel()
	const streams = 20
	const spread = 500 * time.Millisecond
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--h2c", "--spread", spread.String(), "--linger-timeout", "100ms")
	url := "http://" + p.await(t, "state", "serving")["addr"].(string) + "/events?every=10ms"
	started, ended := make(chan error, streams), make(chan []event, streams)
	for i := range streams {
		client := newClient(t, []func(*http.Protocols){http1, h2c}[i%2])
		go func() {
			all, err := stream(client, url, started)
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
			ended <- all
		}()
	}
	for range streams {
		must(t, <-started)
	}
	p.signal(t, syscall.SIGTERM)
	var first, last time.Time
	for range streams {
		all := <-ended
		if len(all) < 2 {
			t.Fatalf("a stream has %d events", len(all))
		}
		for i, e := range all[:len(all)-1] {
			if want := fmt.Sprint(i + 42); e.fields["id"] != want || e.fields["data"] != "v1" {
				t.Errorf("event %d is %v", i, e.fields)
			}
		}
		end := all[len(all)-1]
		if end.fields["event"] != "retiring" || end.fields["retry"] != "250" {
			t.Errorf("the last event is %v", end.fields)
		}
		if first.IsZero() || end.at.Before(first) {
			first = end.at
		}
		if end.at.After(last) {
			last = end.at
		}
	}
	if apart := last.Sub(first); apart < spread/10 {
		t.Errorf("%d streams ended within %v", streams, apart)
	}
	if v := p.await(t, "verdict", ""); v["requests"] != float64(streams) || v["cut"] != 0.0 || v["late"] != 0.0 {
		t.Errorf("verdict %v", v)
	}
}

// stream asks for events from number 42 on, and says when they have begun.
func stream(client *http.Client, url string, started chan<- error) ([]event, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Last-Event-ID", "41")
	resp, err := client.Do(req)
	started <- err
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readEvents(resp.Body)
}

// On HTTP/2 a write deadline that has passed ends a stream on which nothing is written.
func TestAStreamThatIsQuietForLongGoesOn(t *testing.T) {
	t.Parallel()
	for name, speak := range map[string]func(*http.Protocols){"HTTP/1.1": http1, "HTTP/2": h2c} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewUnstartedServer(events("v1", 0))
			srv.Config.Protocols = new(http.Protocols)
			speak(srv.Config.Protocols)
			srv.Start()
			defer srv.Close()
			resp, err := newClient(t, speak).Get(srv.URL + "?every=" + (writePatience + time.Second).String())
			must(t, err)
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() && lines.Text() != "id: 2" {
			}
			if lines.Text() != "id: 2" {
				t.Errorf("the stream ends with %q, %v", lines.Text(), lines.Err())
			}
		})
	}
}

// The stream fills what the kernel buffers, and then a write does not return. What a
// handler holds, a retirement waits for.
func TestAClientThatReadsNoEventsDoesNotHoldItsHandler(t *testing.T) {
	t.Parallel()
	ended := make(chan time.Duration, 1)
	handler := events(strings.Repeat("long", 1<<18), 0)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		handler(w, r)
		ended <- time.Since(begun)
	}))
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET /events?every=10ms HTTP/1.1\r\nHost: h\r\n\r\n")
	must(t, err)
	if took := <-ended; took > 3*writePatience {
		t.Errorf("the handler has held out for %v", took)
	}
}

// The client takes one byte, and no more.
func TestAClientThatReadsNoEventsDoesNotHoldTheExit(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--h2c", "--linger-timeout", "100ms", "--drain-timeout", "2s")
	client := newClient(t, h2c)
	client.Transport.(*http.Transport).HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 1}
	resp, err := client.Get("http://" + p.await(t, "state", "serving")["addr"].(string) + "/events")
	must(t, err)
	defer resp.Body.Close()
	p.signal(t, syscall.SIGTERM)
	begun := time.Now()
	if v := p.await(t, "verdict", ""); v["cut"] != 1.0 || v["lossless"] != false {
		t.Errorf("verdict %v", v)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("the exit took %v, with a drain-timeout of 2s", took)
	}
	if code := p.exit(t); code != exitCut {
		t.Errorf("exit code %d", code)
	}
}

func TestWhatIsAskedOfEventsIsBounded(t *testing.T) {
	for _, every := range []string{"0s", "1ms", "2m", "often"} {
		if _, err := parseEvery(every); err == nil {
			t.Errorf("every=%s is taken", every)
		}
	}
}
