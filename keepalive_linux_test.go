package overlap

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Clients that send more on a connection than one request, or do not say whether they
// will.
//
// Broken on purpose, and seen red:
//
//   - no `Connection: close`: TestPipelinedRequestsAreProcessedUpToConnectionClose,
//     TestAClientOfHTTP10IsAnswered

// Requests that were sent without waiting for answers. Those that begin before the
// signal are answered, and so is the first one after it, with `Connection: close`. What
// is behind that must not be processed (RFC 9112 9.6), so that its client may send it
// again.
func TestPipelinedRequestsAreProcessedUpToConnectionClose(t *testing.T) {
	t.Parallel()
	pipeline := func(n int) (requests string) {
		for i := range n {
			requests += get(fmt.Sprintf("/held?%d", i))
		}
		return requests
	}
	for name, tc := range map[string]struct {
		send     func(c *talker, v1 *instance)
		answered int
	}{
		"sent before": {func(c *talker, v1 *instance) {
			c.write(pipeline(4))
			v1.awaitBegun("/held?0")
			v1.handOver(PhaseLinger)
		}, 2},
		"sent while it lingers": {func(c *talker, v1 *instance) {
			v1.handOver(PhaseLinger)
			c.write(pipeline(4))
			v1.awaitBegun("/held?0")
		}, 1},
		"the last two sent while it lingers": {func(c *talker, v1 *instance) {
			c.write(pipeline(2))
			v1.awaitBegun("/held?0")
			v1.handOver(PhaseLinger)
			c.write(get("/held?2"), get("/held?3"))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v1 := start(t, "serve", config{Release: "v1", Linger: slow / 2})
			c := talk(t, v1)
			tc.send(c, v1)
			v1.say("release")
			for i := range tc.answered {
				resp := c.wants(http.StatusOK, fmt.Sprintf("/held?%d", i))
				if last := i == tc.answered-1; resp.Close != last {
					t.Errorf("answer %d asks to close: %v", i, resp.Close)
				}
			}
			c.atEnd()
			v1.succeeded(int64(tc.answered), c)
			for _, e := range v1.events {
				if strings.HasPrefix(e.Began, "/held") && e.Began > fmt.Sprintf("/held?%d", tc.answered-1) {
					t.Errorf("the handler of %s ran, whose client was told that it would not", e.Began)
				}
			}
		})
	}
}

func TestAClientOfHTTP10IsAnswered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header string
		keeps  bool
	}{
		"with keep-alive":    {"Connection: keep-alive\r\n", true},
		"without keep-alive": {"", false},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				v1 := start(t, "serve", config{Release: "v1", Linger: slow / 2})
				c := talk(t, v1)
				var requests int64
				if tc.keeps {
					c.write("POST / HTTP/1.0\r\nContent-Length: 2\r\n", tc.header, "\r\nhi")
					resp := c.wants(http.StatusOK, "hi")
					if resp.Close {
						t.Error("it does not keep the connection: the test proves less than it says")
					}
					requests++
				}
				request := "GET /held HTTP/1.0\r\n" + tc.header + "\r\n"
				if when == "after" {
					v1.handOver(PhaseLinger)
				}
				c.write(request)
				v1.awaitBegun("/held")
				if when == "before" {
					v1.handOver(PhaseLinger)
				}
				v1.say("release")
				resp := c.wants(http.StatusOK, "/held")
				if keeps := tc.keeps && when == "before"; resp.Close == keeps {
					t.Errorf("it keeps the connection: %v, want %v", !resp.Close, keeps)
				}
				c.atEnd()
				v1.succeeded(requests+1, c)
			})
		}
	}
}
