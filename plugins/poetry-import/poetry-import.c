/* poetry-import: makes a Poetry project pypm's.
 *
 *     pypm poetry-import [FOLDER] [OPTIONS OF pypm import]
 *
 * A plugin that hands its work back to pypm: it finds the project, says what speaks against it, and becomes
 * `pypm import` there, which reads Poetry's manifest and lock, writes PEP 621, and locks with the versions
 * that Poetry had.  Such a plugin needs no more of pypm than PYPM in its environment, and the host table
 * for its messages.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <direct.h>
#include <process.h>
#define chdir _chdir
#else
#include <unistd.h>
#endif

#include "pypm_plugin.h"

enum { NO = 1, USAGE = 2 };

static const pypm_host *host;

int pypm_plugin_abi(void) { return PYPM_PLUGIN_ABI; }

const char *pypm_plugin_describe(void) {
  return "{\"name\": \"poetry-import\", \"version\": \"1.0\","
         " \"summary\": \"makes a Poetry project, with its lock, pypm's\"}";
}

int pypm_plugin_init(const pypm_host *table) {
  host = table;
  return 0;
}

static int refuse(int code, const char *what, const char *subject) {
  char message[1024];
  snprintf(message, sizeof message, what, subject);
  host->log(host, PYPM_LOG_ERROR, message);
  return code;
}

/* Whether the manifest has a table of Poetry's.  Its header stands in a line of its own, as TOML wants it;
 * whether the rest can be read is for pypm to say, with the line. */
static int is_poetry(FILE *manifest) {
  char line[4096];
  int at_start = 1;
  while (fgets(line, sizeof line, manifest)) {
    const char *text = line + strspn(line, " \t");
    if (at_start && *text == '[') {
      text += strspn(text, "[ \t");
      const char *parts[] = {"tool", "poetry"};
      int found = 1;
      for (int i = 0; i < 2 && found; i++) {
        char quote = *text == '"' || *text == '\'' ? *text++ : 0;
        size_t size = strlen(parts[i]);
        found = !strncmp(text, parts[i], size);
        text += found ? size : 0;
        if (found && quote) found = *text++ == quote;
        if (!found) break;
        text += strspn(text, " \t");
        found = *text == '.' || (i == 1 && *text == ']');
        text += 1 + strspn(text + 1, " \t");
      }
      if (found) return 1;
    }
    at_start = strchr(line, '\n') != NULL;
  }
  return 0;
}

static int become(char **command) {
  fflush(NULL);
#ifdef _WIN32
  return (int)_spawnvp(_P_WAIT, command[0], (const char *const *)command);
#else
  execvp(command[0], command);
  return refuse(NO, "pypm cannot be started: %s", strerror(errno));
#endif
}

int pypm_plugin_main(int argc, char **argv) {
  int first = argc > 1 && argv[1][0] != '-' ? 2 : 1;
  const char *folder = first == 2 ? argv[1] : ".";
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--help")) {
      puts("usage: pypm poetry-import [FOLDER] [OPTIONS]\n\n"
           "  Make the Poetry project in FOLDER (or here) pypm's, with the versions of its poetry.lock.\n"
           "  OPTIONS are those of `pypm import`: --dry-run, --force, --json, ...");
      return 0;
    }
    if (i >= first && argv[i][0] != '-') return refuse(USAGE, "one folder, then options of pypm import: %s", argv[i]);
  }
  if (chdir(folder)) return refuse(USAGE, "there is no such folder: %s", folder);
  FILE *manifest = fopen("pyproject.toml", "rb");
  if (!manifest) return refuse(NO, "there is no pyproject.toml in %s", folder);
  int found = is_poetry(manifest);
  fclose(manifest);
  if (!found) return refuse(NO, "pyproject.toml in %s has no [tool.poetry]", folder);

  char **command = calloc((size_t)argc + 6, sizeof *command);
  char *pypm = getenv("PYPM"), *python = getenv("PYPM_HOST_PYTHON");
  int size = 0;
  if (!command) return refuse(NO, "%s", strerror(errno));
  if (pypm && *pypm) {
    command[size++] = pypm;
  } else {
    command[size++] = python;
    command[size++] = "-m";
    command[size++] = "pypm";
  }
  command[size++] = "import";
  for (int i = first; i < argc; i++) command[size++] = argv[i];
  FILE *lock = fopen("poetry.lock", "rb");
  if (lock) {
    fclose(lock);
    command[size++] = "poetry.lock";
  }
  return become(command);
}
