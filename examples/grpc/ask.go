package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ask makes calls on one connection, one after the other, and says when another
// release answers.
func ask(ctx context.Context, stdout io.Writer, flags *flag.FlagSet, args []string) error {
	addr := flags.String("addr", "127.0.0.1:9000", "call the server at this `address`")
	duration := flags.Duration("for", 10*time.Second, "go on for so long")
	if err := parse(flags, args); err != nil {
		return err
	}
	conn, err := grpc.NewClient(*addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		return err
	}
	defer conn.Close()
	sent, failed := 0, 0
	for last, end := "", time.Now().Add(*duration); time.Now().Before(end) && ctx.Err() == nil; sent++ {
		release, err := say(conn, fmt.Sprint(sent))
		switch {
		case err != nil:
			failed++
			fmt.Fprintln(stdout, err)
			time.Sleep(100 * time.Millisecond)
		case release != last:
			fmt.Fprintf(stdout, "call %d was answered by %s\n", sent, release)
			last = release
		}
	}
	fmt.Fprintf(stdout, "sent %d, failed %d\n", sent, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d calls were lost", failed, sent)
	}
	return nil
}

// say makes one unary call, and returns the release that answered.
func say(conn *grpc.ClientConn, text string) (release string, err error) {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	answer := new(wrapperspb.StringValue)
	if err := conn.Invoke(ctx, methodSay, wrapperspb.String(text), answer); err != nil {
		return "", err
	}
	release, said, _ := strings.Cut(answer.Value, " ")
	if said != text {
		return release, fmt.Errorf("said %q, got back %q", text, said)
	}
	return release, nil
}
