/* Checks the C client (zookeeper_mt) against the server given as host:port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { SESSION_MS = 40000, SHORT_SESSION_MS = 5000, DEADLINE_MS = 60000, EVENTS = 64, PATH = 256 };

/* A connected client and the watch events it was told of, oldest first. */
struct client {
    zhandle_t *zh;
    pthread_mutex_t lock;
    int count, taken;
    struct { int type; char path[PATH]; } events[EVENTS];
};

static const char *server;
static jmp_buf failed;

#define FAIL(...) \
    do { \
        char text_[512]; \
        snprintf(text_, sizeof text_, __VA_ARGS__); \
        printf("FAIL %s line %d: %s\n", check_name, __LINE__, text_); \
        longjmp(failed, 1); \
    } while (0)
#define EQUAL(expected, got) \
    do { \
        long long e_ = (expected), g_ = (got); \
        if (e_ != g_) FAIL("%s: expected %lld, got %lld", #got, e_, g_); \
    } while (0)
#define SAME(expected, got) \
    do { \
        const char *e_ = (expected), *g_ = (got); \
        if (strcmp(e_, g_) != 0) FAIL("%s: expected %s, got %s", #got, e_, g_); \
    } while (0)
#define OK(call) EQUAL(ZOK, call)
#define AWAIT(condition) \
    for (long long end_ = now_ms() + DEADLINE_MS; !(condition); usleep(5000)) \
        if (now_ms() > end_) FAIL("did not come about: %s", #condition)

static const char *check_name;

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context)
{
    struct client *c = context;
    (void)zh;
    (void)state;
    if (type == ZOO_SESSION_EVENT)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->count < EVENTS) {
        c->events[c->count].type = type;
        snprintf(c->events[c->count].path, PATH, "%s", path);
        c->count++;
    }
    pthread_mutex_unlock(&c->lock);
}

static struct client *open_client(const char *chroot, int session_ms, const clientid_t *id)
{
    char address[PATH];
    snprintf(address, sizeof address, "%s%s", server, chroot);
    struct client *c = calloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->zh = zookeeper_init(address, on_event, session_ms, id, c, 0);
    if (c->zh == NULL)
        FAIL("zookeeper_init: %s", strerror(errno));
    AWAIT(zoo_state(c->zh) == ZOO_CONNECTED_STATE);
    return c;
}

static struct client *new_client(void)
{
    return open_client("", SESSION_MS, NULL);
}

/* The memory stays: a late callback may still look at it. */
static void close_client(struct client *c)
{
    zookeeper_close(c->zh);
}

static int seen(struct client *c)
{
    pthread_mutex_lock(&c->lock);
    int count = c->count;
    pthread_mutex_unlock(&c->lock);
    return count;
}

#define EXPECT(c, wanted, at) \
    do { \
        AWAIT(seen(c) > (c)->taken); \
        EQUAL(wanted, (c)->events[(c)->taken].type); \
        SAME(at, (c)->events[(c)->taken].path); \
        (c)->taken++; \
    } while (0)

static int create(struct client *c, const char *path, const char *value, int mode)
{
    return zoo_create(c->zh, path, value, (int)strlen(value), &ZOO_OPEN_ACL_UNSAFE, mode, NULL, 0);
}

/* Breaks every connection of this process to the server, as a bad network would. */
static void cut(void)
{
    int port = atoi(strrchr(server, ':') + 1);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port)
            shutdown(fd, SHUT_RDWR);
    }
}

static void create_read_write_delete(void)
{
    struct client *c = new_client();
    char path[PATH], data[PATH];
    struct Stat made, stat;
    int length = sizeof data;
    OK(zoo_create2(c->zh, "/crud", "one", 3, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path,
                   sizeof path, &made));
    SAME("/crud", path);
    OK(zoo_get(c->zh, "/crud", 0, data, &length, &stat));
    EQUAL(3, length);
    EQUAL(made.czxid, stat.czxid);
    EQUAL(made.ctime, stat.ctime);
    EQUAL(made.dataLength, stat.dataLength);
    EQUAL(stat.czxid, stat.mzxid);
    EQUAL(stat.czxid, stat.pzxid);
    EQUAL(stat.ctime, stat.mtime);
    EQUAL(3, stat.dataLength);
    OK(zoo_set2(c->zh, "/crud", "four", 4, 0, &stat));
    EQUAL(1, stat.version);
    EQUAL(made.czxid + 1, stat.mzxid);
    OK(zoo_set(c->zh, "/crud", NULL, -1, 1));
    length = sizeof data;
    OK(zoo_get(c->zh, "/crud", 0, data, &length, NULL));
    EQUAL(-1, length);
    OK(create(c, "/crud/a", "", ZOO_PERSISTENT));
    OK(create(c, "/crud/e", "", ZOO_EPHEMERAL));
    OK(zoo_exists(c->zh, "/crud/e", 0, &stat));
    EQUAL(zoo_client_id(c->zh)->client_id, stat.ephemeralOwner);
    struct String_vector children;
    OK(zoo_get_children2(c->zh, "/crud", 0, &children, &stat));
    EQUAL(2, children.count);
    EQUAL(2, stat.numChildren);
    EQUAL(2, stat.cversion);
    EQUAL(made.czxid + 4, stat.pzxid);
    deallocate_String_vector(&children);
    OK(zoo_delete(c->zh, "/crud/a", 0));
    OK(zoo_delete(c->zh, "/crud/e", -1));
    OK(zoo_delete(c->zh, "/crud", 2));
    EQUAL(ZNONODE, zoo_exists(c->zh, "/crud", 0, NULL));
    close_client(c);
}

static void refusals(void)
{
    struct client *c = new_client();
    OK(create(c, "/refuse", "", ZOO_PERSISTENT));
    OK(create(c, "/refuse/e", "", ZOO_EPHEMERAL));
    EQUAL(ZNODEEXISTS, create(c, "/refuse", "", ZOO_PERSISTENT));
    EQUAL(ZNONODE, create(c, "/refuse/none/x", "", ZOO_PERSISTENT));
    EQUAL(ZNOCHILDRENFOREPHEMERALS, create(c, "/refuse/e/x", "", ZOO_PERSISTENT));
    EQUAL(ZBADVERSION, zoo_set(c->zh, "/refuse", "", 0, 7));
    EQUAL(ZNOTEMPTY, zoo_delete(c->zh, "/refuse", -1));
    struct ACL_vector none = {0, NULL};
    EQUAL(ZINVALIDACL, zoo_create(c->zh, "/refuse/x", "", 0, &none, 0, NULL, 0));
    close_client(c);
}

static void znode_kinds(void)
{
    struct client *c = new_client(), *other = new_client();
    char path[PATH];
    OK(create(c, "/kinds", "", ZOO_PERSISTENT));
    OK(create(c, "/kinds/c", "", ZOO_CONTAINER));
    OK(zoo_create_ttl(c->zh, "/kinds/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL,
                      600000, NULL, 0));
    OK(zoo_create(c->zh, "/kinds/s", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, path,
                  sizeof path));
    SAME("/kinds/s0000000002", path);
    OK(zoo_create(c->zh, "/kinds/s", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, path,
                  sizeof path));
    SAME("/kinds/s0000000003", path);
    close_client(c);
    EQUAL(ZNONODE, zoo_exists(other->zh, "/kinds/s0000000003", 0, NULL));
    OK(zoo_exists(other->zh, "/kinds/s0000000002", 0, NULL));
    close_client(other);
}

static void watch_events(struct client *c, struct client *other)
{
    OK(create(c, "/watch", "", ZOO_PERSISTENT));
    EQUAL(ZNONODE, zoo_wexists(c->zh, "/watch/a", on_event, c, NULL));
    OK(zoo_wget_children(c->zh, "/watch", on_event, c, &(struct String_vector){0}));
    OK(create(other, "/watch/a", "", ZOO_PERSISTENT));
    EXPECT(c, ZOO_CREATED_EVENT, "/watch/a");
    EXPECT(c, ZOO_CHILD_EVENT, "/watch");
    char data[PATH];
    int length = sizeof data;
    OK(zoo_wget(c->zh, "/watch/a", on_event, c, data, &length, NULL));
    OK(zoo_set(other->zh, "/watch/a", "1", 1, -1));
    EXPECT(c, ZOO_CHANGED_EVENT, "/watch/a");
    length = sizeof data;
    OK(zoo_wget(c->zh, "/watch/a", on_event, c, data, &length, NULL));
    OK(zoo_remove_watches(c->zh, "/watch/a", ZWATCHTYPE_DATA, on_event, c, 0));
    OK(zoo_set(other->zh, "/watch/a", "2", 1, -1));
    length = sizeof data;
    OK(zoo_wget(c->zh, "/watch/a", on_event, c, data, &length, NULL));
    OK(zoo_delete(other->zh, "/watch/a", -1));
    EXPECT(c, ZOO_DELETED_EVENT, "/watch/a");
    OK(zoo_exists(c->zh, "/watch", 0, NULL));
    EQUAL(c->taken, seen(c));
}

static void watches(void)
{
    struct client *c = new_client(), *other = new_client();
    watch_events(c, other);
    close_client(c);
    close_client(other);
}

static void multi(void)
{
    struct client *c = new_client();
    OK(create(c, "/multi", "", ZOO_PERSISTENT));
    char path[PATH], sequential[PATH];
    struct Stat stat;
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    zoo_check_op_init(&ops[0], "/multi", 0);
    zoo_create_op_init(&ops[1], "/multi/a", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_create_op_init(&ops[2], "/multi/s", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, sequential,
                       sizeof sequential);
    zoo_set_op_init(&ops[3], "/multi/a", "22", 2, 0, &stat);
    zoo_delete_op_init(&ops[4], "/multi/s0000000001", -1);
    OK(zoo_multi(c->zh, 5, ops, results));
    for (int i = 0; i < 5; i++)
        OK(results[i].err);
    SAME("/multi/a", path);
    SAME("/multi/s0000000001", sequential);
    EQUAL(1, stat.version);
    EQUAL(2, stat.dataLength);
    zoo_create_op_init(&ops[0], "/multi/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_set_op_init(&ops[1], "/multi/a", "", 0, 9, NULL);
    zoo_delete_op_init(&ops[2], "/multi/a", -1);
    EQUAL(ZBADVERSION, zoo_multi(c->zh, 3, ops, results));
    EQUAL(ZOK, results[0].err);
    EQUAL(ZBADVERSION, results[1].err);
    EQUAL(ZRUNTIMEINCONSISTENCY, results[2].err);
    EQUAL(ZNONODE, zoo_exists(c->zh, "/multi/x", 0, NULL));
    close_client(c);
}

static void on_result(int rc, const void *result)
{
    *(volatile int *)(intptr_t)result = rc;
}

static void on_synced(int rc, const char *path, const void *result)
{
    (void)path;
    on_result(rc, result);
}

static void auth(struct client *c)
{
    volatile int result = 1;
    OK(zoo_add_auth(c->zh, "digest", "ann:secret", 10, on_result, (const void *)&result));
    AWAIT(result != 1);
    OK(result);
}

static void acl_and_auth(void)
{
    struct client *c = new_client(), *stranger = new_client();
    auth(c);
    OK(zoo_create(c->zh, "/acl", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0));
    struct ACL_vector acl;
    struct Stat stat;
    OK(zoo_get_acl(c->zh, "/acl", &acl, &stat));
    EQUAL(1, acl.count);
    EQUAL(ZOO_PERM_ALL, acl.data[0].perms);
    SAME("digest", acl.data[0].id.scheme);
    EQUAL(0, strncmp("ann:", acl.data[0].id.id, 4));
    deallocate_ACL_vector(&acl);
    char data[PATH];
    int length = sizeof data;
    EQUAL(ZNOAUTH, zoo_get(stranger->zh, "/acl", 0, data, &length, NULL));
    auth(stranger);
    length = sizeof data;
    OK(zoo_get(stranger->zh, "/acl", 0, data, &length, NULL));
    OK(zoo_set_acl(c->zh, "/acl", 0, &ZOO_READ_ACL_UNSAFE));
    EQUAL(ZNOAUTH, zoo_set(c->zh, "/acl", "", 0, -1));
    OK(zoo_exists(c->zh, "/acl", 0, &stat));
    EQUAL(1, stat.aversion);
    close_client(c);
    close_client(stranger);
}

static void sync_after_writes(void)
{
    struct client *c = new_client();
    volatile int result = 1;
    OK(create(c, "/sync", "", ZOO_PERSISTENT));
    OK(zoo_async(c->zh, "/sync", on_synced, (const void *)&result));
    AWAIT(result != 1);
    OK(result);
    close_client(c);
}

static void chroot_everywhere(void)
{
    struct client *root = new_client();
    OK(create(root, "/app", "", ZOO_PERSISTENT));
    OK(create(root, "/app/team", "", ZOO_PERSISTENT));
    struct client *c = open_client("/app/team", SESSION_MS, NULL);
    struct client *other = open_client("/app/team", SESSION_MS, NULL);
    watch_events(c, other);
    char path[PATH], inner[PATH];
    OK(zoo_create(c->zh, "/s", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, path,
                  sizeof path));
    SAME("/s0000000001", path);
    OK(zoo_exists(root->zh, "/app/team/s0000000001", 0, NULL));
    zoo_op_t ops[2];
    zoo_op_result_t results[2];
    zoo_create_op_init(&ops[0], "/m", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_create_op_init(&ops[1], "/m/s", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, inner,
                       sizeof inner);
    OK(zoo_multi(c->zh, 2, ops, results));
    OK(zoo_exists(root->zh, "/app/team/m/s0000000000", 0, NULL));
    struct String_vector children;
    OK(zoo_wget_children(c->zh, "/", on_event, c, &children));
    EQUAL(3, children.count);
    deallocate_String_vector(&children);
    OK(create(root, "/app/team/new", "", ZOO_PERSISTENT));
    EXPECT(c, ZOO_CHILD_EVENT, "/");
    close_client(c);
    close_client(other);
    close_client(root);
}

static void reconnect_keeps_session_and_watches(void)
{
    struct client *c = new_client(), *other = new_client();
    long long id = zoo_client_id(c->zh)->client_id;
    char data[PATH];
    int length = sizeof data;
    struct Stat stat;
    OK(create(c, "/again", "", ZOO_PERSISTENT));
    OK(create(c, "/again/e", "", ZOO_EPHEMERAL));
    OK(zoo_wget(c->zh, "/again", on_event, c, data, &length, NULL));
    EQUAL(ZNONODE, zoo_wexists(c->zh, "/again/new", on_event, c, NULL));
    cut();
    AWAIT(zoo_exists(c->zh, "/again/e", 0, &stat) == ZOK);
    EQUAL(id, zoo_client_id(c->zh)->client_id);
    EQUAL(id, stat.ephemeralOwner);
    AWAIT(zoo_set(other->zh, "/again", "1", 1, -1) == ZOK);
    EXPECT(c, ZOO_CHANGED_EVENT, "/again");
    OK(create(other, "/again/new", "", ZOO_PERSISTENT));
    EXPECT(c, ZOO_CREATED_EVENT, "/again/new");
    close_client(c);
    close_client(other);
}

/* Another process with such a session and an ephemeral of it; `id` becomes the session's. */
static pid_t start_process(int session_ms, const char *ephemeral, clientid_t *id)
{
    int ready[2];
    EQUAL(0, pipe(ready));
    pid_t child = fork();
    if (child == 0) {
        if (setjmp(failed) == 0) {
            struct client *c = open_client("", session_ms, NULL);
            OK(create(c, ephemeral, "", ZOO_EPHEMERAL));
            EQUAL(sizeof *id, write(ready[1], zoo_client_id(c->zh), sizeof *id));
            pause();
        }
        _exit(1);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], id, sizeof *id);
    close(ready[0]);
    EQUAL(sizeof *id, got);
    return child;
}

static void kill_process(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* The session of a killed process ends by itself, and its ephemerals with it. */
static void session_of_a_killed_process_expires(void)
{
    clientid_t id;
    pid_t child = start_process(SHORT_SESSION_MS, "/killed", &id);
    struct client *c = new_client();
    OK(zoo_wexists(c->zh, "/killed", on_event, c, NULL));
    kill_process(child);
    EXPECT(c, ZOO_DELETED_EVENT, "/killed");
    close_client(c);
}

static void session_resumes_with_its_password(void)
{
    clientid_t id;
    kill_process(start_process(SESSION_MS, "/resume", &id));
    struct client *c = open_client("", SESSION_MS, &id);
    EQUAL(id.client_id, zoo_client_id(c->zh)->client_id);
    struct Stat stat;
    OK(zoo_exists(c->zh, "/resume", 0, &stat));
    EQUAL(id.client_id, stat.ephemeralOwner);
    close_client(c);
    struct client *other = new_client();
    EQUAL(ZNONODE, zoo_exists(other->zh, "/resume", 0, NULL));
    close_client(other);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*body)(void); } checks[] = {
#define CHECK(name) {#name, name}
        /* These fork, so they come before any thread of the client. */
        CHECK(session_of_a_killed_process_expires),
        CHECK(session_resumes_with_its_password),
        CHECK(create_read_write_delete),
        CHECK(refusals),
        CHECK(znode_kinds),
        CHECK(watches),
        CHECK(multi),
        CHECK(acl_and_auth),
        CHECK(sync_after_writes),
        CHECK(chroot_everywhere),
        CHECK(reconnect_keeps_session_and_watches),
    };
    volatile int failures = 0;
    if (argc != 2)
        return 2;
    server = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    zoo_set_debug_level(0);
    for (volatile size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        long long start = now_ms();
        check_name = checks[i].name;
        if (setjmp(failed) == 0) {
            checks[i].body();
            printf("ok %s %lld ms\n", check_name, now_ms() - start);
        } else {
            failures++;
        }
    }
    fflush(stdout);
    _exit(failures ? 1 : 0);
}
