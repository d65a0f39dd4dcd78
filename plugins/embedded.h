/* embedded.h: a file of any kind as a part of a library.
 *
 *     EMBEDDED(program, "oci.py");      // const char program[], with a NUL at its end
 *
 * The file is looked for from the folder in which the compiler runs.  For GCC and Clang, on ELF and Mach-O.
 */
#ifndef PYPM_EMBEDDED_H
#define PYPM_EMBEDDED_H

#ifdef __APPLE__
#define EMBEDDED_SECTION "__TEXT,__const"
#define EMBEDDED_HIDDEN ".private_extern "
#else
#define EMBEDDED_SECTION ".rodata,\"a\""
#define EMBEDDED_HIDDEN ".hidden "
#endif
#define EMBEDDED_TEXT(word) #word
#define EMBEDDED_NAME(prefix, name) EMBEDDED_TEXT(prefix) name

#define EMBEDDED(name, file)                                                     \
  __asm__(".pushsection " EMBEDDED_SECTION "\n"                                  \
          ".globl " EMBEDDED_NAME(__USER_LABEL_PREFIX__, #name) "\n"             \
          EMBEDDED_HIDDEN EMBEDDED_NAME(__USER_LABEL_PREFIX__, #name) "\n"       \
          EMBEDDED_NAME(__USER_LABEL_PREFIX__, #name) ":\n"                      \
          ".incbin \"" file "\"\n.byte 0\n.popsection\n");                       \
  extern const char name[] __attribute__((visibility("hidden")))

#endif
