package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Broken on purpose, and seen red:
//   - nobody is told; the code is another one: TestWebSocketsAreClosedWith1001AndComeBack
//   - the answer to a close is waited for without bound, and the connection not ended:
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
	flags := []string{"--linger-timeout", "100ms", "--spread", "300ms"}
	v1 := start(t, append(flags, "--addr", "127.0.0.1:0", "--release", "v1")...)
	addr := v1.await(t, "state", "serving")["addr"].(string)
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
	defer stop()
	begun, again, ended := make(chan struct{}, 2*sockets), make(chan struct{}, sockets), make(chan error, sockets)
	for range sockets {
		go func() {
			n, err := talk(ctx, "ws://"+addr+"/ws", begun)
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
			again <- struct{}{}
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
	if v := v1.await(t, "verdict", ""); v["lossless"] != true || v["cut"] != 0.0 {
		t.Errorf("verdict %v", v)
	}
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
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--spread", "10ms", "--linger-timeout", "100ms")
	addr := p.await(t, "state", "serving")["addr"].(string)
	c, answer := handshake(t, addr)
	contains(t, answer, "101 Switching Protocols")
	begun := time.Now()
	p.signal(t, syscall.SIGTERM)
	if v := p.await(t, "verdict", ""); v["cut"] != 0.0 { // it is ended, as RFC 6455 7.1.1 has it, and not cut
		t.Errorf("verdict %v", v)
	}
	if took := time.Since(begun); took < answerPatience || took > 3*answerPatience {
		t.Errorf("the exit took %v, want the patience of %v and a little", took, answerPatience)
	}
	said, _ := io.ReadAll(c)
	if len(said) < 4 || said[0] != 0x88 || int(said[2])<<8|int(said[3]) != int(websocket.StatusGoingAway) {
		t.Errorf("the server said % x, want a close frame with 1001", said)
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
