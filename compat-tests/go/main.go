// Checks github.com/go-zookeeper/zk against the server given as host:port.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const session = 40 * time.Second

// short enough to wait for its end; no pause of a busy machine may take as long.
const short = 5 * time.Second

var open = zk.WorldACL(zk.PermAll)

func main() {
	os.Exit(run([]check{
		{"create_read_write_delete", createReadWriteDelete},
		{"refusals", refusals},
		{"znode_kinds", znodeKinds},
		{"watches", watches},
		{"multi", multi},
		{"acl_and_auth", aclAndAuth},
		{"protected_ephemeral_sequential", protected},
		{"lock", lock},
		{"sync_and_pipelining", syncAndPipelining},
		{"reconfig_is_refused", reconfig},
		{"reconnect_keeps_session_and_watches", reconnect},
		{"session_expires", expires},
	}))
}

func createReadWriteDelete() {
	c := client(session, &link{})
	defer c.Close()
	equal("/crud", value(c.Create("/crud", []byte("one"), 0, open)), "created path")
	data, stat, err := c.Get("/crud")
	must(err)
	equal("one", string(data), "data")
	equal(stat.Czxid, stat.Mzxid, "zxids")
	equal(int32(3), stat.DataLength, "data length")
	next := value(c.Set("/crud", []byte("two"), 0))
	equal(int32(1), next.Version, "version")
	equal(stat.Czxid+1, next.Mzxid, "zxid of the next write")
	value(c.Create("/crud/b", nil, 0, open))
	value(c.Create("/crud/a", nil, 0, open))
	children, stat, err := c.Children("/crud")
	must(err)
	sort.Strings(children)
	equal([]string{"a", "b"}, children, "children")
	equal(int32(2), stat.NumChildren, "number of children")
	must(c.Delete("/crud/a", -1))
	must(c.Delete("/crud/b", 0))
	must(c.Delete("/crud", 1))
	there, _, err := c.Exists("/crud")
	must(err)
	equal(false, there, "exists")
}

func refusals() {
	c := client(session, &link{})
	defer c.Close()
	value(c.Create("/refuse", nil, 0, open))
	value(c.Create("/refuse/e", nil, zk.FlagEphemeral, open))
	_, err := c.Create("/refuse", nil, 0, open)
	refused(zk.ErrNodeExists, err)
	_, err = c.Create("/refuse/none/x", nil, 0, open)
	refused(zk.ErrNoNode, err)
	_, err = c.Create("/refuse/e/x", nil, 0, open)
	refused(zk.ErrNoChildrenForEphemerals, err)
	_, err = c.Set("/refuse", nil, 5)
	refused(zk.ErrBadVersion, err)
	refused(zk.ErrNotEmpty, c.Delete("/refuse", -1))
	_, err = c.Create("/refuse/acl", nil, 0, nil)
	refused(zk.ErrInvalidACL, err)
}

func znodeKinds() {
	c := client(session, &link{})
	other := client(session, &link{})
	defer other.Close()
	value(c.Create("/kinds", nil, 0, open))
	value(c.Create("/kinds/e", nil, zk.FlagEphemeral, open))
	equal("/kinds/s0000000001", value(c.Create("/kinds/s", nil, zk.FlagSequence, open)), "sequential")
	both := value(c.Create("/kinds/s", nil, zk.FlagEphemeralSequential, open))
	equal("/kinds/s0000000002", both, "ephemeral sequential")
	value(c.CreateContainer("/kinds/c", nil, zk.FlagContainer, open))
	value(c.CreateTTL("/kinds/t", nil, zk.FlagTTL, open, time.Hour))
	_, stat, err := other.Exists("/kinds/e")
	must(err)
	equal(c.SessionID(), stat.EphemeralOwner, "owner")
	c.Close()
	children, _, err := other.Children("/kinds")
	must(err)
	sort.Strings(children)
	equal([]string{"c", "s0000000001", "t"}, children, "what outlives the session")
}

func watches() {
	c := client(session, &link{})
	defer c.Close()
	other := client(session, &link{})
	defer other.Close()
	value(c.Create("/watch", nil, 0, open))
	_, _, created, err := c.ExistsW("/watch/a")
	must(err)
	_, _, children, err := c.ChildrenW("/watch")
	must(err)
	value(other.Create("/watch/a", nil, 0, open))
	event(created, zk.EventNodeCreated, "/watch/a")
	event(children, zk.EventNodeChildrenChanged, "/watch")
	_, _, changed, err := c.GetW("/watch/a")
	must(err)
	value(other.Set("/watch/a", []byte("1"), -1))
	event(changed, zk.EventNodeDataChanged, "/watch/a")
	_, _, gone, err := c.GetW("/watch/a")
	must(err)
	must(other.Delete("/watch/a", -1))
	event(gone, zk.EventNodeDeleted, "/watch/a")
}

func multi() {
	c := client(session, &link{})
	defer c.Close()
	value(c.Create("/multi", nil, 0, open))
	done := value(c.Multi(
		&zk.CheckVersionRequest{Path: "/multi", Version: 0},
		&zk.CreateRequest{Path: "/multi/a", Data: []byte("1"), Acl: open},
		&zk.CreateRequest{Path: "/multi/s", Acl: open, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: "/multi/a", Data: []byte("2"), Version: 0},
		&zk.DeleteRequest{Path: "/multi/s0000000001", Version: -1},
	))
	equal("/multi/s0000000001", done[2].String, "sequential name")
	equal(int32(1), done[3].Stat.Version, "stat")
	failed, err := c.Multi(
		&zk.CreateRequest{Path: "/multi/x", Acl: open},
		&zk.SetDataRequest{Path: "/multi/a", Version: 9},
		&zk.DeleteRequest{Path: "/multi/a", Version: -1},
	)
	refused(zk.ErrBadVersion, err)
	equal(3, len(failed), "results")
	refused(zk.ErrBadVersion, failed[1].Error)
	there, _, err := c.Exists("/multi/x")
	must(err)
	equal(false, there, "nothing of it happened")
}

func aclAndAuth() {
	c := client(session, &link{})
	defer c.Close()
	stranger := client(session, &link{})
	defer stranger.Close()
	must(c.AddAuth("digest", []byte("ann:secret")))
	value(c.Create("/acl", []byte("x"), 0, zk.AuthACL(zk.PermAll)))
	acl, stat, err := c.GetACL("/acl")
	must(err)
	equal(zk.DigestACL(zk.PermAll, "ann", "secret"), acl, "acl")
	equal(int32(0), stat.Aversion, "aversion")
	_, _, err = stranger.Get("/acl")
	refused(zk.ErrNoAuth, err)
	must(stranger.AddAuth("digest", []byte("ann:secret")))
	_, _, err = stranger.Get("/acl")
	must(err)
	stat = value(c.SetACL("/acl", zk.WorldACL(zk.PermRead), 0))
	equal(int32(1), stat.Aversion, "aversion")
	_, err = c.Set("/acl", nil, -1)
	refused(zk.ErrNoAuth, err)
}

func protected() {
	c := client(session, &link{})
	defer c.Close()
	value(c.Create("/protected", nil, 0, open))
	path := value(c.CreateProtectedEphemeralSequential("/protected/n-", nil, open))
	if !strings.HasPrefix(path, "/protected/_c_") || !strings.HasSuffix(path, "-n-0000000000") {
		fail("path %s", path)
	}
}

func lock() {
	const clients, rounds = 3, 4
	var wait sync.WaitGroup
	var mu sync.Mutex
	inside, most, turns := 0, 0, 0
	note := func(change int) {
		mu.Lock()
		defer mu.Unlock()
		inside += change
		if inside > most {
			most = inside
		}
		turns++
	}
	errs := make(chan any, clients)
	for i := 0; i < clients; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			defer func() { errs <- recover() }()
			c := client(session, &link{})
			defer c.Close()
			l := zk.NewLock(c, "/lock", open)
			for round := 0; round < rounds; round++ {
				must(l.Lock())
				note(1)
				note(-1)
				must(l.Unlock())
			}
		}()
	}
	wait.Wait()
	for i := 0; i < clients; i++ {
		if reason := <-errs; reason != nil {
			fail("%v", reason)
		}
	}
	equal(1, most, "holders at once")
	equal(2*clients*rounds, turns, "turns")
}

// Requests of many goroutines share one connection; each reply belongs to its request.
func syncAndPipelining() {
	c := client(session, &link{})
	defer c.Close()
	value(c.Create("/pipe", nil, 0, open))
	var wait sync.WaitGroup
	errs := make(chan error, 100)
	for i := 0; i < cap(errs); i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			path, text := fmt.Sprintf("/pipe/n%d", i), fmt.Sprint(i)
			if _, err := c.Create(path, []byte(text), 0, open); err != nil {
				errs <- err
				return
			}
			data, _, err := c.Get(path)
			if err == nil && string(data) != text {
				err = fmt.Errorf("%s holds %q", path, data)
			}
			errs <- err
		}(i)
	}
	wait.Wait()
	for i := 0; i < cap(errs); i++ {
		must(<-errs)
	}
	equal("/pipe", value(c.Sync("/pipe")), "sync")
	children, _, err := c.Children("/pipe")
	must(err)
	equal(cap(errs), len(children), "children")
}

func reconfig() {
	c := client(session, &link{})
	defer c.Close()
	_, err := c.IncrementalReconfig([]string{"server.9=127.0.0.1:1:2:participant;3"}, nil, -1)
	if err == nil {
		fail("reconfig of a standalone server was accepted")
	}
	_, _, err = c.Get("/")
	must(err)
}

func reconnect() {
	l := &link{}
	c := client(session, l)
	defer c.Close()
	other := client(session, &link{})
	defer other.Close()
	id := c.SessionID()
	value(c.Create("/again", nil, 0, open))
	value(c.Create("/again/e", nil, zk.FlagEphemeral, open))
	_, _, changed, err := c.GetW("/again")
	must(err)
	_, _, created, err := c.ExistsW("/again/new")
	must(err)
	l.set(true)
	await("noticed", func() bool { return c.State() != zk.StateHasSession })
	value(other.Set("/again", []byte("meanwhile"), -1))
	l.set(false)
	await("back", func() bool { return c.State() == zk.StateHasSession })
	equal(id, c.SessionID(), "session id")
	event(changed, zk.EventNodeDataChanged, "/again")
	value(other.Create("/again/new", nil, 0, open))
	event(created, zk.EventNodeCreated, "/again/new")
	_, stat, err := other.Exists("/again/e")
	must(err)
	equal(id, stat.EphemeralOwner, "owner")
}

func expires() {
	l := &link{}
	c := client(short, l)
	defer c.Close()
	other := client(session, &link{})
	defer other.Close()
	id := c.SessionID()
	value(c.Create("/expires", nil, zk.FlagEphemeral, open))
	_, _, gone, err := other.ExistsW("/expires")
	must(err)
	l.set(true)
	event(gone, zk.EventNodeDeleted, "/expires")
	l.set(false)
	await("a new session", func() bool {
		return c.State() == zk.StateHasSession && c.SessionID() != id
	})
	value(c.Create("/expires", nil, zk.FlagEphemeral, open))
}
