// Plain answers each request with the same few bytes, in one of several ways: what overlap is
// measured beside, its cost and its upgrades.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/ba995850/overlap"
	"github.com/gin-gonic/gin"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	with := flag.String("with", "net/http", "net/http or gin")
	on := flag.String("on", "net/http", "net/http, overlap, or kernel, which has no HTTP and no -with")
	release := flag.String("release", "v1", "what it says that it is")
	inherit := flag.Bool("inherit", false, "take the socket that descriptor 3 is, as sd_listen_fds(3) says, and do not listen")
	flag.Parse()
	if *on == "kernel" {
		log.Fatal(listenAndServeBare(*addr))
	}
	handler := http.Handler(greeter(*release))
	if *with == "gin" {
		handler = engine(*release)
	}
	serve := serveAlone
	switch {
	case *on == "overlap":
		serve = overlap.ListenAndServe
	case *inherit:
		serve = serveInherited
	}
	if err := serve(*addr, handler); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// serveAlone is what everybody writes.
func serveAlone(addr string, handler http.Handler) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return serve(ln, handler)
}

// serveInherited serves on a socket that somebody else holds: what connects while nobody accepts
// waits in its queue.
func serveInherited(_ string, handler http.Handler) error {
	ln, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	return serve(ln, handler)
}

// serve serves until SIGTERM, and returns when Shutdown does.
func serve(ln net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler}
	left := make(chan error, 1)
	go func() {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		<-ctx.Done()
		left <- server.Shutdown(context.Background())
	}()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-left
}

// greeting is what the reference server says, too.
func greeting(release string) string { return "hello from " + release + "\n" }

func greeter(release string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain; charset=utf-8"}
		w.Header()["Release"] = []string{release}
		io.WriteString(w, greeting(release))
	}
}

func engine(release string) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/", func(c *gin.Context) {
		c.Header("Release", release)
		c.String(http.StatusOK, greeting(release))
	})
	return e
}
