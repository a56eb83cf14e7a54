package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// deadline bounds what a server should cause: far beyond need, so that only a fault reaches it.
const deadline = 60 * time.Second

// failure ends a check early; run reports it.
type failure string

func fail(format string, args ...any) {
	panic(failure(fmt.Sprintf(format, args...)))
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func value[T any](v T, err error) T {
	must(err)
	return v
}

func equal(expected, got any, what string) {
	if !reflect.DeepEqual(expected, got) {
		fail("%s: expected %v, got %v", what, expected, got)
	}
}

func refused(expected, err error) {
	if !errors.Is(err, expected) {
		fail("expected %v, got %v", expected, err)
	}
}

// await asks until the answer is true.
func await(what string, condition func() bool) {
	for end := time.Now().Add(deadline); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			fail("did not come about in %v: %s", deadline, what)
		}
	}
}

type check struct {
	name string
	body func()
}

// run prints "ok NAME" or "FAIL NAME reason" for each check and returns the exit code.
func run(checks []check) int {
	code := 0
	for _, c := range checks {
		start := time.Now()
		done := make(chan any, 1)
		go func(body func()) {
			defer func() { done <- recover() }()
			body()
		}(c.body)
		var reason any
		select {
		case reason = <-done:
		case <-time.After(3 * deadline):
			reason = "not done in time"
		}
		if reason == nil {
			fmt.Printf("ok %s %d ms\n", c.name, time.Since(start).Milliseconds())
		} else {
			fmt.Printf("FAIL %s %v\n", c.name, reason)
			code = 1
		}
	}
	return code
}

// link is the way of one client to the server, which a check can cut and shut.
type link struct {
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func (l *link) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil, errors.New("the link is shut")
	}
	conn, err := net.DialTimeout(network, address, timeout)
	if err == nil {
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

// set shuts the link, cutting what is connected, or opens it.
func (l *link) set(shut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut = shut
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// client connects to the server named on the command line.
func client(timeout time.Duration, l *link) *zk.Conn {
	servers := []string{os.Args[1]}
	conn, _, err := zk.Connect(servers, timeout, zk.WithDialer(l.dial), zk.WithLogger(quiet{}))
	must(err)
	await("session", func() bool { return conn.State() == zk.StateHasSession })
	return conn
}

// event takes the next event of a watch.
func event(watch <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case e := <-watch:
		equal(fmt.Sprint(kind, " ", path), fmt.Sprint(e.Type, " ", e.Path), "event")
	case <-time.After(deadline):
		fail("no event, expected %v %s", kind, path)
	}
}
