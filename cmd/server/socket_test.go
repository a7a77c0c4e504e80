package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Broken on purpose, and seen red:
//   - nobody is told; the code is another one: TestWebSocketsAreClosedWith1001AndComeBack
//   - told all at once: the same
//   - the answer to a close is waited for as long as the library does:
//     TestAWebSocketThatNeverAnswersTheCloseIsBounded
//   - every origin may connect: TestAWebSocketOfAnotherOriginIsRefused

// talk sends numbers and wants them back, until the server closes. It returns how many
// came back, and an error unless the close is one with 1001.
func talk(ctx context.Context, url string, begun chan<- struct{}) (echoes int, err error) {
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return 0, err
	}
	defer c.CloseNow()
	for {
		err := c.Write(ctx, websocket.MessageText, []byte(fmt.Sprint(echoes)))
		if err == nil {
			var got []byte
			_, got, err = c.Read(ctx)
			if err == nil && string(got) != fmt.Sprint(echoes) {
				return echoes, fmt.Errorf("echo %q of %d", got, echoes)
			}
		}
		if closed := new(websocket.CloseError); errors.As(err, closed) && closed.Code == websocket.StatusGoingAway {
			if want := fmt.Sprintf(goingAway, echoes); closed.Reason != want {
				return echoes, fmt.Errorf("closed with %q, want %q", closed.Reason, want)
			}
			return echoes, nil
		}
		if err != nil {
			return echoes, err
		}
		if echoes++; echoes == 1 {
			begun <- struct{}{}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return echoes, ctx.Err()
		}
	}
}

func TestWebSocketsAreClosedWith1001AndComeBack(t *testing.T) {
	t.Parallel()
	const sockets = 50
	const spread = 2 * time.Second
	flags := []string{"--linger-timeout", "100ms", "--spread", spread.String()}
	v1 := start(t, append(flags, "--addr", "127.0.0.1:0", "--release", "v1")...)
	addr := v1.await(t, "state", "serving")["addr"].(string)
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
	defer stop()
	begun, ended := make(chan struct{}, 2*sockets), make(chan error, sockets)
	var told times
	for range sockets {
		go func() {
			n, err := talk(ctx, "ws://"+addr+"/ws", begun)
			told.note()
			if err != nil || n == 0 {
				err = fmt.Errorf("after %d echoes: %w", n, err)
			} else {
				c, resp, err2 := websocket.Dial(ctx, "ws://"+addr+"/ws", nil)
				if err = err2; err == nil {
					defer c.CloseNow()
					if got := resp.Header.Get("Release"); got != "v2" {
						err = fmt.Errorf("came back to %q", got)
					}
				}
			}
			ended <- err
		}()
	}
	for range sockets {
		<-begun
	}
	start(t, append(flags, "--addr", addr, "--release", "v2")...).await(t, "state", "serving")
	v1.signal(t, syscall.SIGTERM)
	for range sockets {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if apart := told.span(); apart < spread/4 {
		t.Errorf("%d WebSockets were told within %v", sockets, apart)
	}
	if v := v1.await(t, "verdict", ""); v["lossless"] != true || v["cut"] != 0.0 {
		t.Errorf("verdict %v", v)
	}
}

// times are moments.
type times struct {
	mu          sync.Mutex
	first, last time.Time
}

func (ts *times) note() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.last = time.Now()
	if ts.first.IsZero() {
		ts.first = ts.last
	}
}

// span is how far they are apart.
func (ts *times) span() time.Duration {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.last.Sub(ts.first)
}

// handshake opens a WebSocket by hand, and lets it lie.
func handshake(t *testing.T, addr string, headers ...string) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(15*time.Second)))
	_, err = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+strings.Join(headers, "")+"\r\n")
	must(t, err)
	answer := make([]byte, 512)
	n, err := c.Read(answer)
	must(t, err)
	return c, string(answer[:n])
}

func TestAWebSocketThatNeverAnswersTheCloseIsBounded(t *testing.T) {
	t.Parallel()
	const header = "\x82\xfe\xff\xff" // of a binary message of 65535 bytes, masked
	for name, test := range map[string]struct{ before, after string }{
		"it is silent":               {},
		"it stops in a frame":        {before: header + "mask" + "and no more"},
		"it stops in its next frame": {after: header + "mask" + "and no more"},
		"it stops in a header":       {after: header[:3]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--spread", "10ms", "--linger-timeout", "100ms")
			addr := p.await(t, "state", "serving")["addr"].(string)
			c, answer := handshake(t, addr)
			contains(t, answer, "101 Switching Protocols")
			_, err := io.WriteString(c, test.before)
			must(t, err)
			begun := time.Now()
			p.signal(t, syscall.SIGTERM)
			said := make([]byte, 4)
			_, err = io.ReadFull(c, said)
			must(t, err)
			if said[0] != 0x88 || int(said[2])<<8|int(said[3]) != int(websocket.StatusGoingAway) {
				t.Errorf("the server said % x, want a close frame with 1001", said)
			}
			_, err = io.WriteString(c, test.after)
			must(t, err)
			if v := p.await(t, "verdict", ""); v["cut"] != 0.0 { // it is ended, as RFC 6455 7.1.1 has it, and not cut
				t.Errorf("verdict %v", v)
			}
			if took := time.Since(begun); took < answerPatience || took > 2*answerPatience {
				t.Errorf("the exit took %v, want the patience of %v and a little", took, answerPatience)
			}
		})
	}
}

func TestAWebSocketIsCutAndCountedAtTheDeadline(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--spread", "10ms", "--linger-timeout", "100ms",
		"--drain-timeout", (answerPatience / 2).String())
	_, answer := handshake(t, p.await(t, "state", "serving")["addr"].(string))
	contains(t, answer, "101 Switching Protocols")
	p.signal(t, syscall.SIGTERM)
	begun := time.Now()
	if v := p.await(t, "verdict", ""); v["cut"] != 1.0 || v["lossless"] != false {
		t.Errorf("verdict %v", v)
	}
	if took := time.Since(begun); took > answerPatience {
		t.Errorf("the exit took %v, with a drain-timeout of %v", took, answerPatience/2)
	}
	if code := p.exit(t); code != exitCut {
		t.Errorf("exit code %d", code)
	}
}

func TestAWebSocketOfAnotherOriginIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0")
	addr := p.await(t, "state", "serving")["addr"].(string)
	for origin, want := range map[string]int{"http://h": http.StatusSwitchingProtocols, "http://elsewhere": http.StatusForbidden} {
		_, answer := handshake(t, addr, "Origin: "+origin+"\r\n")
		contains(t, answer, fmt.Sprint("HTTP/1.1 ", want))
	}
}
