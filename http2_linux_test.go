//go:build !go1.27

// From Go 1.27 on x/net's client is net/http's, which fails requests before it has sent
// them when a GOAWAY comes ("cannot rewind body"): there h2load and bench, which has a
// client of its own, have to do.

//lint:file-ignore SA1019 net/http's own client does the same before Go 1.27, too

package overlap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// HTTP/2 through real processes.
//
// Broken on purpose, and seen red:
//
//   - no first GOAWAY; the second with streams open; Linger returns at once:
//     TestHTTP2RequestsThatCannotBeRepeatedAreAnswered

// tongues are the ways in which an instance speaks HTTP/2.
var tongues = map[string]struct {
	config config
	url    string
}{
	"over TLS": {config{TLS: true}, "https://"},
	"in clear": {config{H2C: true}, "http://"},
}

const streams = 100 // in flight at a time, on each of the connections

// Requests whose bodies cannot be sent again: a stream that the server does not take any
// more is lost.
func TestHTTP2RequestsThatCannotBeRepeatedAreAnswered(t *testing.T) {
	for name, tongue := range tongues {
		t.Run(name, func(t *testing.T) {
			conf := tongue.config
			conf.Release, conf.Linger = "v1", DefaultLingerTimeout // a busy client takes its time to acknowledge
			current := start(t, "serve", conf)
			load := sendHTTP2(t, tongue.url+current.addr)
			said := make(map[string]int)
			for i := range upgrades {
				load.awaitAnswer(t, conf.Release) // who has connections keeps them, so not of the next one
				conf.Release, conf.Addr = fmt.Sprintf("v%d", i+2), current.addr
				next := start(t, "serve", conf)
				v := current.leaves()
				said[v.Release] = int(v.Requests)
				current = next
			}
			load.lostNothing(t)
			v := current.leaves()
			said[v.Release] = int(v.Requests)
			for release, n := range load.answered {
				if said[release] != n {
					t.Errorf("%s answered %d requests, its verdict says %d", release, n, said[release])
				}
			}
		})
	}
}

// The load sees the streams that are lost when net/http ends its connections alone.
func TestTheHTTP2LoadSeesTheLossOfAPlainRetirement(t *testing.T) {
	for name, tongue := range tongues {
		t.Run(name, func(t *testing.T) {
			failed := 0
			for i := 0; failed == 0 && i < 10; i++ {
				conf := tongue.config
				conf.Release, conf.Plain = "v1", true
				v1 := start(t, "serve", conf)
				load := sendHTTP2(t, tongue.url+v1.addr)
				conf.Release, conf.Addr = "v2", v1.addr
				start(t, "serve", conf)
				load.awaitAnswer(t, "v1")
				v1.retire()
				v1.verdict()
				failed = load.sum(t)
			}
			if failed == 0 {
				t.Error("10 plain retirements lost nothing that the load has seen")
			}
		})
	}
}

// sendHTTP2 is send, with a few clients of HTTP/2.
func sendHTTP2(t testing.TB, url string) *load {
	const clients = 3
	l := newLoad(t, "")
	for range clients {
		tr := &http2.Transport{AllowHTTP: true, TLSClientConfig: trust("h2")}
		if strings.HasPrefix(url, "http:") {
			tr.DialTLSContext = func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		}
		t.Cleanup(tr.CloseIdleConnections)
		for range streams {
			l.wg.Go(func() { l.runHTTP2(tr, url) })
		}
	}
	return l
}

func (l *load) runHTTP2(tr *http2.Transport, url string) {
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		l.note(postOnce(tr, url, fmt.Sprint("body ", i)))
	}
}

// postOnce sends a body that can be read once.
func postOnce(tr http.RoundTripper, url, body string) (answer, error) {
	r, err := http.NewRequest(http.MethodPost, url+"/", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return answer{}, err
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(got) != body) {
		err = errors.New("answered " + resp.Status + " " + string(got))
	}
	return answer{release: resp.Header.Get("Release"), body: string(got)}, err
}
