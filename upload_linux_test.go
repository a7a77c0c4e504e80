package overlap

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is sent to an instance that leaves, however slowly.
//
// Broken on purpose, and seen red:
//
//   - the clock runs for what is active: TestAClientThatExpectsToBeToldToGoOnIsTold,
//     TestAChunkedUploadWithATrailerSpansTheRetirement
//   - Close while retiring closes the socket at once; flush does not wait:
//     TestAnUploadThatIsRefusedGetsItsAnswer

// slow is longer than these instances linger.
const slow = 2 * time.Second

func TestAnUploadThatTakesLongerThanLingeringIsAnswered(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("slow ", 1000)
	half := len(body) / 2
	for name, upload := range map[string]func(c *talker, leave func()){
		"begun before": func(c *talker, leave func()) {
			c.write(post("/digest", len(body)), body[:half])
			leave()
			c.trickle(body[half:], slow)
		},
		"the head before and the body after": func(c *talker, leave func()) {
			c.write(post("/digest", len(body)))
			leave()
			c.trickle(body, slow)
		},
		"a part of the head before": func(c *talker, leave func()) {
			head := post("/digest", len(body))
			c.write(head[:20])
			leave()
			c.write(head[20:])
			c.trickle(body, slow)
		},
		"begun after": func(c *talker, leave func()) {
			leave()
			c.write(post("/digest", len(body)))
			c.trickle(body, slow)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v1 := start(t, "serve", config{Release: "v1", Linger: slow / 2})
			c := talk(t, v1)
			c.write(post("/", 2), "hi")
			c.wants(http.StatusOK, "hi")
			upload(c, func() { v1.handOver(PhaseLinger) })
			c.wants(http.StatusOK, digestOf(body))
			v1.succeeded(2, c)
		})
	}
}

// The client sends its body when it is told to, which is when the instance leaves.
func TestAClientThatExpectsToBeToldToGoOnIsTold(t *testing.T) {
	t.Parallel()
	v1 := start(t, "serve", config{Release: "v1"})
	c := talk(t, v1)
	const path, body = "/digest/held", "expected"
	c.write(post(path, len(body), expect))
	v1.awaitBegun(path)
	v1.handOver(PhaseLinger)
	c.silent(slow / 4) // for longer than it lingers
	v1.say("release")
	c.wants(http.StatusContinue, "")
	c.silent(slow / 4)
	c.write(body)
	c.wants(http.StatusOK, digestOf(body))
	v1.succeeded(1, c)
}

// longBody is more than net/http reads for a handler that does not, and more than the
// kernel buffers.
const longBody = 8 << 20

// A handler answers without having read the body: a reset would take the answer away.
func TestAnUploadThatIsRefusedGetsItsAnswer(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", longBody)
	for name, tc := range map[string]struct {
		head string
		send func(*talker) // what the client does before it reads
	}{
		"it was asked for first":             {post("/refuse/held", longBody, expect), func(*talker) {}},
		"it was asked for, and sent anyway":  {post("/refuse/held", longBody, expect), func(c *talker) { c.write(body) }},
		"it is sent before anything is read": {post("/refuse/held", longBody), func(c *talker) { c.write(body) }},
		"it is sent slowly":                  {post("/refuse/held", longBody), func(c *talker) { c.trickle(body[:longBody/2], slow/4) }},
		"nothing of it is sent":              {post("/refuse/held", longBody), func(*talker) {}},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				v1 := start(t, "serve", config{Release: "v1", Linger: slow / 2})
				c := talk(t, v1)
				c.write(post("/", 2), "hi")
				c.wants(http.StatusOK, "hi")
				if when == "after" {
					v1.handOver(PhaseLinger)
				}
				c.write(tc.head)
				v1.awaitBegun("/refuse/held")
				if when == "before" {
					v1.handOver(PhaseLinger)
				}
				v1.say("release")
				tc.send(c)
				c.wants(http.StatusRequestEntityTooLarge, "too much\n")
				v1.succeeded(2, c)
			})
		}
	}
}

func TestAChunkedUploadWithATrailerSpansTheRetirement(t *testing.T) {
	t.Parallel()
	v1 := start(t, "serve", config{Release: "v1"})
	c := talk(t, v1)
	c.write("POST /digest HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n", chunk("one,"))
	v1.awaitBegun("/digest")
	v1.handOver(PhaseLinger)
	c.silent(slow / 4) // for longer than it lingers
	c.write(chunk("two"), "0\r\nSum: 12\r\n\r\n")
	resp := c.wants(http.StatusOK, digestOf("one,two"))
	if got := resp.Trailer.Get("Sum"); got != "12" {
		t.Errorf("the trailer came back as %q", got)
	}
	v1.succeeded(1, c)
}
