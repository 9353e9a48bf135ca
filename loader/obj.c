/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/obj.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/abi/podwire.h" /* the skeleton names its structs */
#include "bpf/datapath.skel.h"
#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/hash.h"
#include "loader/maps.h"
#include "loader/pin.h"

/* What libbpf would print; the last lines go into the error. Cleared for each load. */
static char last_words[512];

static int collect(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    char line[256];

    if (level == LIBBPF_DEBUG || level == LIBBPF_INFO)
        return 0;
    /* A verifier log comes as one long line: its end says what is wrong. */
    pw_free char *text = NULL;
    int n = vasprintf(&text, fmt, ap); // NOLINT(clang-diagnostic-format-nonliteral)
    if (n < 0) {
        text = NULL;
        return 0;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = '\0';
    const char *from = n >= (int)sizeof(line) ? text + n - (int)sizeof(line) + 1 : text;
    snprintf(line, sizeof(line), "%s", from);
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    size_t used = strlen(last_words), room = sizeof(last_words) - used;
    if (strlen(line) + 3 > room) {
        memmove(last_words, last_words + sizeof(last_words) / 2, sizeof(last_words) / 2);
        last_words[sizeof(last_words) / 2] = '\0';
        used = strlen(last_words);
        room = sizeof(last_words) - used;
    }
    snprintf(last_words + used, room, "%s%s", used ? "; " : "", line);
    return 0;
}

const char *pw_obj_build(void)
{
    static char build[PW_BUILD_LEN];

    if (build[0])
        return build;
    size_t size;
    const void *elf = pw_datapath__elf_bytes(&size);
    uint64_t h = pw_hash(PW_HASH_START, elf, size);
    snprintf(build, sizeof(build), "%s-%016llx", PW_VERSION, (unsigned long long)h);
    for (char *c = build; *c; c++)
        if (*c == '.' || *c == '/' || *c == '~')
            *c = '_';
    return build;
}

/* The configuration is a data section that is shared like a map; bpffs takes no '.' in names. */
static const char *pin_name(const struct bpf_map *map)
{
    const char *name = bpf_map__name(map);
    return strncmp(name, ".data.", 6) == 0 ? name + 6 : name;
}

/* Maps of the object's own (constants) belong to the programs and are not shared. */
static bool shared_map(const struct bpf_map *map)
{
    const char *name = pin_name(map);
    return strncmp(name, "pw_", 3) == 0 && !strchr(name, '.'); /* "pw_datap.rodata" is one */
}

/* A pinned map is used again only if the object asks for just such a map. */
static int reuse_map(struct bpf_map *map, struct pw_err *err)
{
    char path[PW_PIN_PATH];
    struct bpf_map_info info = {0};
    uint32_t len = sizeof(info);
    int rc;

    snprintf(path, sizeof(path), "%s/%s", PW_PIN_MAPS, pin_name(map));
    pw_fd fd = bpf_obj_get(path);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return pw_err_errno(err, fd, "open map %s", path);
    rc = bpf_map_get_info_by_fd(fd, &info, &len);
    if (rc || info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
        info.value_size != bpf_map__value_size(map) ||
        (info.max_entries != bpf_map__max_entries(map) && bpf_map__max_entries(map) != 0) ||
        info.map_flags != bpf_map__map_flags(map))
        return pw_err_set(err, -EPROTO,
                          "%s is another kind of map than this version needs "
                          "(podwirectl unload, then load again)",
                          path);
    rc = bpf_map__reuse_fd(map, fd);
    return rc ? pw_err_errno(err, rc, "use map %s", path) : 0;
}

static int pin_map(struct bpf_map *map, struct pw_err *err)
{
    char path[PW_PIN_PATH];

    snprintf(path, sizeof(path), "%s/%s", PW_PIN_MAPS, pin_name(map));
    int rc = bpf_obj_pin(bpf_map__fd(map), path);
    if (rc && rc != -EEXIST)
        return pw_err_errno(err, rc, "pin %s", path);
    return 0;
}

static int pin_programs(struct bpf_object *obj, struct pw_err *err)
{
    char dir[PW_PIN_PATH / 2], path[PW_PIN_PATH];
    struct bpf_program *prog;
    int rc;

    snprintf(dir, sizeof(dir), "%s/%s", PW_PIN_PROGS, pw_obj_build());
    rc = pw_pin_remove(dir, err); /* of a load that was killed */
    if (!rc)
        rc = pw_dir_ensure(dir, err);
    if (rc)
        return rc;
    bpf_object__for_each_program(prog, obj)
    {
        if (!bpf_program__autoload(prog))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, bpf_program__name(prog));
        rc = bpf_obj_pin(bpf_program__fd(prog), path);
        if (rc)
            return pw_err_errno(err, rc, "pin %s", path);
    }
    return 0;
}

static void skel_destroyp(struct pw_datapath **skel)
{
    if (*skel)
        pw_datapath__destroy(*skel);
}

/* The number that netkit's programs know each other by. A map that is there already keeps its own.
 */
static int draw_pass(struct pw_datapath *skel, struct pw_err *err)
{
    uint8_t pass[8] = {0};
    if (getrandom(pass + 2, sizeof(pass) - 2, 0) != sizeof(pass) - 2)
        return pw_err_errno(err, -errno, "draw a random number");
    memcpy(&skel->data_pw_pass->pw_pass, pass, sizeof(pass));
    return 0;
}

static int load(struct pw_err *err)
{
    __attribute__((cleanup(skel_destroyp))) struct pw_datapath *skel = pw_datapath__open();
    struct bpf_map *map;
    int rc;

    if (!skel)
        return pw_err_errno(err, -errno, "open the embedded datapath: %s", last_words);
    bpf_object__for_each_map(map, skel->obj)
    {
        rc = shared_map(map) ? reuse_map(map, err) : 0;
        if (rc)
            return rc;
    }
    rc = draw_pass(skel, err);
    if (rc)
        return rc;
    rc = bpf_object__load_skeleton(skel->skeleton);
    if (rc)
        return pw_err_errno(err, rc, "load the datapath into the kernel: %s", last_words);
    bpf_object__for_each_map(map, skel->obj)
    {
        rc = shared_map(map) ? pin_map(map, err) : 0;
        if (rc)
            return rc;
    }
    return pin_programs(skel->obj, err);
}

int pw_obj_load(struct pw_err *err)
{
    last_words[0] = '\0';
    libbpf_print_fn_t before = libbpf_set_print(collect);
    int rc = load(err);
    libbpf_set_print(before);
    return rc;
}
