/* hello: the smallest plugin that does something.
 *
 *     $ cc -shared -fPIC -I"$(pypm plugin include)" hello.c -o hello.so
 *     $ pypm plugin add hello hello.so
 *     $ pypm hello world
 *     hello, world
 */
#include <stdio.h>

#include "pypm_plugin.h"

int pypm_plugin_abi(void) { return PYPM_PLUGIN_ABI; }

const char *pypm_plugin_describe(void) {
  return "{\"name\": \"hello\", \"version\": \"1.0\", \"summary\": \"greets\"}";
}

int pypm_plugin_main(int argc, char **argv) {
  if (argc == 1) {
    puts("hello");
  }
  for (int i = 1; i < argc; i++) {
    printf("hello, %s\n", argv[i]);
  }
  return 0;
}
