package overlap

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// What an instance that leaves still has to give.
//
// Broken on purpose, and seen red:
//
//   - the clock runs for what is active: TestAChunkedResponseWithATrailerSpansTheRetirement

// file is one with bytes that do not repeat.
func file(t *testing.T, size int) (uri string, content []byte, f *os.File) {
	t.Helper()
	content = make([]byte, size)
	rand.NewChaCha8(sha256.Sum256([]byte(t.Name()))).Read(content)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return "/file?name=" + url.QueryEscape(f.Name()), content, f
}

func get(uri string) string { return "GET " + uri + " HTTP/1.1\r\nHost: test\r\n\r\n" }

// slowly reads a body so that it takes d.
func (c *talker) slowly(resp *http.Response, d time.Duration) []byte {
	c.t.Helper()
	const pieces = 20
	tick := time.NewTicker(d / pieces)
	defer tick.Stop()
	var got bytes.Buffer
	for got.Len() < int(resp.ContentLength) {
		<-tick.C
		if n, err := io.CopyN(&got, resp.Body, resp.ContentLength/pieces+1); err != nil && err != io.EOF {
			c.t.Fatalf("after %d bytes, of %d: %v", got.Len(), n, err)
		}
	}
	return got.Bytes()
}

// A file of which the kernel can buffer a part only, and one that it buffers whole, so
// that the server has let go of the connection before the client has read much.
func TestADownloadThatTakesLongerThanLingeringArrivesWhole(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		size  int
		when  string
		phase Phase // as far as the instance gets while the client does not read
	}{
		"in the hands of the handler, begun before": {16 << 20, "before", PhaseLinger},
		"in the hands of the handler, begun after":  {16 << 20, "after", PhaseLinger},
		"in the hands of the kernel, begun before":  {1 << 20, "before", PhaseLinger}, // nobody said that it would close
		"in the hands of the kernel, begun after":   {1 << 20, "after", PhaseFlush},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v1 := start(t, "serve", config{Release: "v1", Linger: slow / 2})
			c := talk(t, v1)
			c.tcp().SetReadBuffer(64 << 10)
			c.write(post("/", 2), "hi")
			c.wants(http.StatusOK, "hi")
			uri, content, _ := file(t, tc.size)
			if tc.when == "after" {
				v1.handOver(PhaseLinger)
			}
			c.write(get(uri))
			v1.awaitBegun(uri)
			if tc.when == "before" {
				v1.handOver(PhaseLinger)
			}
			resp, err := http.ReadResponse(c.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			v1.awaitPhase(tc.phase)
			if got := c.slowly(resp, slow); !bytes.Equal(got, content) {
				t.Errorf("%d bytes arrived that are not the file", len(got))
			}
			v1.succeeded(2, c)
		})
	}
}

// What is sent by sendfile is not copied: until the peer has read it, the bytes are
// those of the file's pages, and a change of the file is seen by the peer. See
// TestAFileIsSentWithoutBeingCopied in internal/drain.
func TestAFileIsSentWithoutBeingCopiedWhileRetiring(t *testing.T) {
	t.Parallel()
	copied := func(t *testing.T, p *instance, leave func()) bool {
		c := talk(t, p)
		c.write(post("/", 2), "hi")
		c.wants(http.StatusOK, "hi")
		leave()
		uri, content, f := file(t, 32<<10) // goes into the buffers at once
		c.write(get(uri))
		c.awaitArrived(len(content))
		last := len(content) - 1
		if _, err := f.WriteAt([]byte{content[last] + 1}, int64(last)); err != nil {
			t.Fatal(err)
		}
		got := c.read().body
		if got[:last] != string(content[:last]) {
			t.Errorf("%d bytes arrived that are not the file", len(got))
		}
		return got[last] == content[last]
	}
	plain := start(t, "squat", config{Release: "plain"})
	if copied(t, plain, func() {}) {
		t.Fatal("plain net/http copies the file here, too: the test proves nothing")
	}
	v1 := start(t, "serve", config{Release: "v1", Linger: slow / 2})
	if copied(t, v1, func() { v1.handOver(PhaseLinger) }) {
		t.Error("the file was copied: sendfile was not used")
	}
}

// awaitArrived waits until the kernel has more than n bytes for the client.
func (c *talker) awaitArrived(n int) {
	c.t.Helper()
	raw, err := c.tcp().SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	buf := make([]byte, n+1)
	if err := raw.Read(func(fd uintptr) bool {
		got, _, _ := syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return got == len(buf)
	}); err != nil {
		c.t.Fatal(err)
	}
}

func TestAChunkedResponseWithATrailerSpansTheRetirement(t *testing.T) {
	t.Parallel()
	v1 := start(t, "serve", config{Release: "v1"})
	c := talk(t, v1)
	c.write(get("/parts"))
	v1.awaitBegun("/parts")
	v1.handOver(PhaseLinger)
	v1.say("release")
	resp := c.wants(http.StatusOK, "one,two")
	if got := resp.Trailer.Get("Sum"); got != digestOf("one,two") {
		t.Errorf("the trailer is %q", got)
	}
	v1.succeeded(1, c)
}
