/* conda: packages of conda's channels in an environment that pypm made.
 *
 *     pypm plugin run conda install numpy=1.26 -c conda-forge
 *
 * A plugin whose work is done in Python, in an environment of its own: the library asks pypm through the host
 * table where the member's environment is, and becomes `pypm dlx --from py-rattler python` with the program
 * that it holds (conda.py and its modules).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../embedded.h"
#include "pypm_plugin.h"

#define RATTLER "py-rattler>=0.28,<0.29"

EMBEDDED(asked_files, "asked_files.py");
EMBEDDED(place_of_it, "place.py");
EMBEDDED(program, "conda.py");

/* Makes modules of the first words, and runs the last of them. */
static const char start[] =
    "import signal, sys, types\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n" /* quietly, while modules are loaded */
    "for name in ('asked_files', 'place'):\n"
    "    module = sys.modules[name] = types.ModuleType(name)\n"
    "    exec(compile(sys.argv.pop(1), name + '.py', 'exec'), module.__dict__)\n"
    "exec(compile(sys.argv.pop(1), 'conda.py', 'exec'))\n";

static const pypm_host *host;

int pypm_plugin_abi(void) { return PYPM_PLUGIN_ABI; }

const char *pypm_plugin_describe(void) {
  return "{\"name\": \"conda\", \"version\": \"1.0\","
         " \"summary\": \"packages of conda's channels in the environment of a member\"}";
}

int pypm_plugin_init(const pypm_host *table) {
  host = table;
  return 0;
}

static int refuse(int code, const char *why) {
  host->log(host, PYPM_LOG_ERROR, why);
  return code;
}

/* The value of -p NAME, -pNAME, --member NAME or --member=NAME; NULL: there is none. */
static const char *member_in(int argc, char **argv) {
  const char *found = NULL;
  for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
    if (!strcmp(argv[i], "-p") || !strcmp(argv[i], "--member")) {
      if (argv[i + 1]) found = argv[++i];
    } else if (!strncmp(argv[i], "-p", 2)) {
      found = argv[i] + 2;
    } else if (!strncmp(argv[i], "--member=", 9)) {
      found = argv[i] + 9;
    }
  }
  return found;
}

static int wants_help(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return 1;
  }
  return argc == 1;
}

int pypm_plugin_main(int argc, char **argv) {
  enum { OWN = 15 };
  char *pypm = getenv("PYPM"), *python = getenv("PYPM_HOST_PYTHON"), *rattler = getenv("PYPM_CONDA_PYTHON");
  char **command = calloc((size_t)argc + OWN, sizeof *command);
  if (!command) return refuse(1, strerror(errno));

  /* The text stays until this process becomes another. */
  pypm_text place = {"{}", 2, NULL, NULL};
  int help = wants_help(argc, argv);
  if (!help && host->environment(host, member_in(argc, argv), &place)) {
    help = -1; /* conda.py says why, as it says everything */
  }

  int size = 0;
  if (help == 1 && python && *python) {
    command[size++] = python; /* no network for a help text */
  } else if (rattler && *rattler) {
    command[size++] = rattler;
  } else {
    if (pypm && *pypm) {
      command[size++] = pypm;
    } else if (python && *python) {
      command[size++] = python;
      command[size++] = "-m";
      command[size++] = "pypm";
    } else {
      return refuse(1, "pypm has not said which program it is");
    }
    command[size++] = "dlx";
    command[size++] = "--from";
    command[size++] = RATTLER;
    command[size++] = "python";
  }
  command[size++] = "-I";
  command[size++] = "-c";
  command[size++] = (char *)start;
  command[size++] = (char *)asked_files;
  command[size++] = (char *)place_of_it;
  command[size++] = (char *)program;
  command[size++] = (char *)place.data;
  for (int i = 1; i < argc; i++) command[size++] = argv[i];
  fflush(NULL);
  execvp(command[0], command);
  return refuse(1, strerror(errno));
}
