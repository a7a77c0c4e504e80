package main

import (
	"flag"
	"fmt"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// config is what `echo serve` can be told.
type config struct {
	Addr    string
	Release string

	DrainTimeout      time.Duration
	FinishTimeout     time.Duration
	ConnectionTimeout time.Duration

	Cert, Key string
	Retire    bool
}

func parseConfig(flags *flag.FlagSet, args []string) (config, error) {
	var c config
	flags.StringVar(&c.Addr, "addr", "127.0.0.1:9000", "listen on this `address`, beside the other releases")
	flags.StringVar(&c.Release, "release", "dev", "the `name` of this release")
	flags.DurationVar(&c.DrainTimeout, "drain-timeout", 30*time.Second, "cut what is left so long after the signal")
	flags.DurationVar(&c.FinishTimeout, "finish-timeout", 5*time.Second, "the part of it that is kept for GracefulStop")
	flags.DurationVar(&c.ConnectionTimeout, "connection-timeout", 3*time.Second, "a connection must have said hello by then")
	flags.StringVar(&c.Cert, "cert", "", "serve TLS with this certificate (PEM `file`)")
	flags.StringVar(&c.Key, "key", "", "and this key (PEM `file`)")
	flags.BoolVar(&c.Retire, "retire", true, "false: GracefulStop alone, as everybody does; it loses calls")
	if err := parse(flags, args); err != nil {
		return c, err
	}
	return c, c.validate()
}

func (c config) validate() error {
	if c.ConnectionTimeout <= 0 || c.ConnectionTimeout >= c.FinishTimeout || c.FinishTimeout >= c.DrainTimeout {
		return fmt.Errorf("connection-timeout %v, finish-timeout %v and drain-timeout %v: each must be longer than the one before",
			c.ConnectionTimeout, c.FinishTimeout, c.DrainTimeout)
	}
	return nil
}

// credentials are those of the server. TLS is grpc's business alone: the listener
// hands out the connection, and grpc wraps it.
func (c config) credentials() (credentials.TransportCredentials, error) {
	if c.Cert == "" && c.Key == "" {
		return insecure.NewCredentials(), nil
	}
	return credentials.NewServerTLSFromFile(c.Cert, c.Key)
}
