/* oci: an image for containers of a member of the workspace, without a daemon.
 *
 *     pypm plugin run oci build -p MEMBER -o image.tar
 *
 * A plugin whose work is done in Python: the library holds the program (oci.py), and becomes pypm's own
 * interpreter, which finds pypm's modules, with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../embedded.h"
#include "pypm_plugin.h"

EMBEDDED(program, "oci.py");

static const pypm_host *host;

int pypm_plugin_abi(void) { return PYPM_PLUGIN_ABI; }

const char *pypm_plugin_describe(void) {
  return "{\"name\": \"oci\", \"version\": \"1.0\","
         " \"summary\": \"a member as an image for containers, without a daemon\"}";
}

int pypm_plugin_init(const pypm_host *table) {
  host = table;
  return 0;
}

static int refuse(const char *why) {
  host->log(host, PYPM_LOG_ERROR, why);
  return 1;
}

int pypm_plugin_main(int argc, char **argv) {
  enum { OWN = 5 };
  char *python = getenv("PYPM_HOST_PYTHON");
  if (!python || !*python) return refuse("pypm has not said which interpreter it runs on");
  char **command = calloc((size_t)argc + OWN, sizeof *command);
  if (!command) return refuse(strerror(errno));
  command[0] = python;
  command[1] = "-I";
  command[2] = "-c";
  command[3] = (char *)program;
  for (int i = 1; i < argc; i++) command[i + 3] = argv[i];
  fflush(NULL);
  execv(python, command);
  return refuse(strerror(errno));
}
