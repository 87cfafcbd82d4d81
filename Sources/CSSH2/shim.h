#pragma once
#include <libssh2.h>
#include <stddef.h>
#include <sys/types.h>

// libssh2's function-like macros are invisible to Swift, and its callbacks pass through `void *`.
// Each function below is one of them with its types written out.

typedef ssize_t (*baton_ssh2_send)(libssh2_socket_t, const void *, size_t, int, void **);
typedef ssize_t (*baton_ssh2_receive)(libssh2_socket_t, void *, size_t, int, void **);

static inline LIBSSH2_SESSION *baton_ssh2_session_init(void *abstract) {
  return libssh2_session_init_ex(NULL, NULL, NULL, abstract);
}

static inline void baton_ssh2_set_transport(
  LIBSSH2_SESSION *session, baton_ssh2_send send, baton_ssh2_receive receive) {
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND, (void *)send);
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, (void *)receive);
}

static inline int baton_ssh2_session_disconnect(LIBSSH2_SESSION *session, const char *description) {
  return libssh2_session_disconnect_ex(session, SSH_DISCONNECT_BY_APPLICATION, description, "");
}

static inline LIBSSH2_CHANNEL *baton_ssh2_channel_open_session(LIBSSH2_SESSION *session, unsigned int window) {
  return libssh2_channel_open_ex(
    session, "session", sizeof("session") - 1, window, LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0);
}

static inline int baton_ssh2_channel_exec(LIBSSH2_CHANNEL *channel, const char *command, unsigned int length) {
  return libssh2_channel_process_startup(channel, "exec", sizeof("exec") - 1, command, length);
}
