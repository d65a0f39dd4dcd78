/* pypm_plugin.h: what a plugin of pypm is, and what it may ask of pypm.  ABI 1.
 *
 * A plugin is a shared library (.so, .dylib, .dll) with one function:
 *
 *     int pypm_plugin_main(int argc, char **argv);
 *
 * It is called in a process of its own, as main() of a program would be: argv[0] is the plugin's name,
 * argv[argc] is NULL, the strings may be written to, and what it returns is the exit code of pypm.
 * stdin, stdout, stderr, the terminal, the current folder and signals are those of pypm.  Returning is
 * like returning from main(): atexit() functions run, streams are flushed, other threads end.
 *
 * The environment has PYPM (pypm's program, if it is one), PYPM_HOST_PYTHON (the interpreter pypm runs on)
 * and, inside a workspace, PYPM_WORKSPACE_ROOT (its folder).
 *
 * Everything else in this file is optional.  A library is asked for these symbols when it is run:
 *
 *     pypm_plugin_abi       first; without it the plugin wants ABI 1
 *     pypm_plugin_init      next, with the host table
 *     pypm_plugin_main      last
 *     pypm_plugin_describe  instead of the two before, for `pypm plugin info`
 */
#ifndef PYPM_PLUGIN_H
#define PYPM_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define PYPM_PLUGIN_ABI 1

#if defined(_WIN32)
#define PYPM_PLUGIN_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define PYPM_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define PYPM_PLUGIN_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A text that pypm gives to the plugin.
 *
 * data is UTF-8, ends in a NUL that size does not count, and stays as it is until the plugin calls
 * text.release(&text), which it must do exactly once, from any thread; then release is NULL.  A text whose
 * release is NULL holds nothing and needs no release.  The struct itself belongs to the plugin and may be
 * copied to another place (as in Arrow's C data interface): then the copy is released, and the original
 * must not be used again.  private_data is pypm's. */
typedef struct pypm_text {
  const char *data;
  size_t size;
  void (*release)(struct pypm_text *text);
  void *private_data;
} pypm_text;

typedef enum pypm_log_level {
  PYPM_LOG_ERROR = 0,
  PYPM_LOG_WARNING = 1,
  PYPM_LOG_INFO = 2, /* not shown with -q */
  PYPM_LOG_DEBUG = 3 /* shown with -v */
} pypm_log_level;

/* What a plugin may ask of pypm.
 *
 * The table and all it points to live from pypm_plugin_init to the end of the process, in this process only:
 * a child that the plugin forks must not use it.  The functions may be called from any thread.  host is the
 * table itself.  Strings that the plugin passes are UTF-8 and are only read during the call.
 *
 * All functions give 0 on success.  Where there is an `out`, it is filled in either case: with the answer, or,
 * if the function gives something else, with {"error": {"code": ..., "message": ..., "hint": ...}} (what
 * pypm prints with --json).  So `out` is released in either case.
 *
 * The struct only grows: abi is the version this pypm speaks, size is sizeof(pypm_host) as this pypm has it.
 * A field beyond size is not there; PYPM_HOST_HAS asks. */
typedef struct pypm_host pypm_host;
struct pypm_host {
  uint32_t abi;
  uint32_t size;
  void *private_data;

  /* {"root", "kind", "name", "members": [{"name", "path", "version", "requires-python", "virtual",
   * "dependencies", "extras", "groups"}], "edges": [{"parent", "child", "kind", "label"}]}: the workspace
   * around the current folder. */
  int (*workspace)(const pypm_host *host, pypm_text *out);

  /* pypm.lock as JSON: its tables and keys as they are in the file. */
  int (*lock)(const pypm_host *host, pypm_text *out);

  /* The workspace's settings, with defaults filled in. */
  int (*settings)(const pypm_host *host, pypm_text *out);

  /* {"environment", "exists", "path", "version", "site-packages", ...}: where the environment of *member* is
   * (NULL: the one that members share), and its own python (path). */
  int (*environment)(const pypm_host *host, const char *member, pypm_text *out);

  /* One line to stderr, as pypm's own. */
  int (*log)(const pypm_host *host, pypm_log_level level, const char *message);

  /* How far the work *what* has come; total 0: not known; done == total ends it.  Drawn on a terminal only. */
  int (*progress)(const pypm_host *host, const char *what, uint64_t done, uint64_t total);

  /* The function *name* of another plugin, found and checked as for `pypm plugin run`, then loaded into
   * this process.  *address is NULL on failure, and the reason is logged. */
  int (*symbol)(const pypm_host *host, const char *plugin, const char *name, void **address);
};

#define PYPM_HOST_HAS(host, field) \
  ((host)->size >= offsetof(pypm_host, field) + sizeof((host)->field))

/* Required. */
PYPM_PLUGIN_EXPORT int pypm_plugin_main(int argc, char **argv);

/* The ABI this plugin was written for: return PYPM_PLUGIN_ABI.  A pypm that is older refuses to run it. */
PYPM_PLUGIN_EXPORT int pypm_plugin_abi(void);

/* One line of JSON: {"name": ..., "version": ..., "summary": ...}.  The string is the plugin's and must
 * stay until the process ends.  Called without pypm_plugin_init. */
PYPM_PLUGIN_EXPORT const char *pypm_plugin_describe(void);

/* Takes the host table.  Something other than 0: pypm_plugin_main is not called. */
PYPM_PLUGIN_EXPORT int pypm_plugin_init(const pypm_host *host);

#ifdef __cplusplus
}
#endif

#endif
