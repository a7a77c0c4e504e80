package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// slowest bounds /slow: a typing error must not hold a connection for a year.
const slowest = 10 * time.Minute

// clientGone is the status that nginx logs for a request whose client left.
const clientGone = 499

// tally counts a request. Its code is 0 where the response was broken off; it is endless
// where its client says how long it takes.
type tally func(code int, took time.Duration, endless bool)

// routes is what the service answers. ready says whether it is in rotation.
func routes(cfg config, ready func() bool, count tally, log *slog.Logger) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.RedirectTrailingSlash = false // gin redirects before it runs the handlers that name the release
	engine.HandleMethodNotAllowed = true
	if cfg.AccessLog {
		engine.Use(logAccess(log))
	}
	engine.Use(countRequests(count), nameRelease(cfg.Release), recoverPanic(log))

	reads := []string{http.MethodGet, http.MethodHead}
	engine.Match(reads, "/", hello(cfg.Release))
	engine.Match(reads, "/slow", slow(cfg.Release))
	engine.Match(reads, "/livez", live)
	engine.Match(reads, "/readyz", readiness(ready))
	engine.POST("/echo", echo)
	engine.Match(reads, "/bytes", gin.WrapF(pattern))
	engine.GET("/events", gin.WrapF(events(cfg.Release, cfg.Spread)))
	engine.GET("/ws", gin.WrapF(socket(cfg.Spread)))
	engine.NoRoute(refuse(http.StatusNotFound)) // gin's own come too late for the access log
	engine.NoMethod(refuse(http.StatusMethodNotAllowed))
	return engine
}

// nameRelease makes each response say who gave it. That is how one sees from
// outside that a port has changed hands.
func nameRelease(release string) gin.HandlerFunc {
	return func(c *gin.Context) { c.Header("Release", release) }
}

// logAccess writes one line for each request, in seconds as the verdict does.
// It is deferred so that an aborted response has a line too.
func logAccess(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		begun := time.Now()
		defer func() {
			log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request",
				slog.String("proto", c.Request.Proto),
				slog.String("method", c.Request.Method),
				slog.String("path", c.Request.URL.Path),
				slog.Int("status", c.Writer.Status()),
				slog.Float64("duration", time.Since(begun).Seconds()),
				slog.Int("bytes", max(0, c.Writer.Size())),
				slog.String("remote", c.Request.RemoteAddr))
		}()
		c.Next()
	}
}

// countRequests is deferred as logAccess is.
func countRequests(count tally) gin.HandlerFunc {
	return func(c *gin.Context) {
		begun, code := time.Now(), 0
		defer func() { count(code, time.Since(begun), isEndless(c.Writer)) }()
		c.Next()
		code = c.Writer.Status()
	}
}

func isEndless(w gin.ResponseWriter) bool {
	return w.Status() == http.StatusSwitchingProtocols || w.Header().Get("Content-Type") == typeOfEvents
}

// recoverPanic answers 500 where a handler has panicked. Where the response has
// begun it is too late for that: the connection is aborted, so that the client
// cannot take half a response for a whole one. gin's own recovery would let it.
func recoverPanic(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause != http.ErrAbortHandler {
				log.Error("panic", slog.Any("error", cause), slog.String("path", c.Request.URL.Path),
					slog.String("stack", string(debug.Stack())))
			}
			if cause == http.ErrAbortHandler || c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			c.AbortWithStatus(http.StatusInternalServerError)
		}()
		c.Next()
	}
}

func refuse(code int) gin.HandlerFunc {
	return func(c *gin.Context) { c.String(code, "%d %s\n", code, http.StatusText(code)) }
}

func hello(release string) gin.HandlerFunc {
	return func(c *gin.Context) { c.String(http.StatusOK, "hello from %s\n", release) }
}

// slow greets after ?for=, which stands for work that takes its time.
func slow(release string) gin.HandlerFunc {
	return func(c *gin.Context) {
		wait, err := parseWait(c.Query("for"))
		if err != nil {
			c.String(http.StatusBadRequest, "%v\n", err)
			return
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			c.String(http.StatusOK, "hello from %s after %v\n", release, wait)
		case <-c.Request.Context().Done():
			c.AbortWithStatus(clientGone)
		}
	}
}

func parseWait(text string) (time.Duration, error) {
	wait, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("for=%s: %w; ask for /slow?for=5s", text, err)
	case wait < 0 || wait > slowest:
		return 0, fmt.Errorf("for=%s: not between 0s and %v", text, slowest)
	}
	return wait, nil
}

// echo sends the body back while it arrives. Without full duplex net/http would
// read only 256 KB of it once the response has begun. HTTP/2 is always full
// duplex, and what is no connection at all (a test's recorder) cannot be, so the
// error says nothing. A body that breaks off must not become a whole response.
func echo(c *gin.Context) {
	ctl := http.NewResponseController(c.Writer)
	_ = ctl.EnableFullDuplex()
	c.Header("Content-Type", cmp.Or(c.GetHeader("Content-Type"), "application/octet-stream"))
	if n := c.Request.ContentLength; n >= 0 {
		c.Header("Content-Length", strconv.FormatInt(n, 10))
	}
	if _, err := io.Copy(promptly{c.Writer, ctl}, c.Request.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// promptly holds nothing back until there is more of it: its client may wait for it.
type promptly struct {
	io.Writer
	ctl *http.ResponseController
}

func (p promptly) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	return n, errors.Join(err, p.ctl.Flush())
}

func live(c *gin.Context) { c.String(http.StatusOK, "alive\n") }

func readiness(ready func() bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !ready() {
			c.String(http.StatusServiceUnavailable, "not ready\n")
			return
		}
		c.String(http.StatusOK, "ready\n")
	}
}
