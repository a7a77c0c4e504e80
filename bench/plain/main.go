// Plain answers each request with the same few bytes, in one of several ways: what the cost of
// overlap is measured beside.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"

	"github.com/ba995850/overlap"
	"github.com/gin-gonic/gin"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	with := flag.String("with", "net/http", "net/http or gin")
	on := flag.String("on", "net/http", "net/http, overlap, or kernel, which has no HTTP and no -with")
	flag.Parse()
	if *on == "kernel" {
		log.Fatal(listenAndServeBare(*addr))
	}
	handler := http.Handler(http.HandlerFunc(greet))
	if *with == "gin" {
		handler = engine()
	}
	listenAndServe := http.ListenAndServe
	if *on == "overlap" {
		listenAndServe = overlap.ListenAndServe
	}
	log.Fatal(listenAndServe(*addr, handler))
}

// greeting is what the reference server says, too.
const greeting = "hello from v1\n"

func greet(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = []string{"text/plain; charset=utf-8"}
	w.Header()["Release"] = []string{"v1"}
	io.WriteString(w, greeting)
}

func engine() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.GET("/", func(c *gin.Context) {
		c.Header("Release", "v1")
		c.String(http.StatusOK, greeting)
	})
	return e
}
