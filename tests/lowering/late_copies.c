/* A host platform whose copies happen as late as they may, at the wait: until then what they write holds garbage. Finds
 * generated code that reads a tile before its copy was waited for, or writes into one that is still being copied. */
#define fbc_dma_in now_dma_in
#define fbc_dma_out now_dma_out
#define fbc_dma_group now_dma_group
#define fbc_dma_wait_group now_dma_wait_group
#define fbc_dma_wait now_dma_wait
#define fbc_l3_begin now_l3_begin
#define fbc_l3_allow now_l3_allow
#define fbc_l3_wait now_l3_wait
#define fbc_l3_happened now_l3_happened
#include "../platform/host/fbc_platform_host.c"
#undef fbc_dma_in
#undef fbc_dma_out
#undef fbc_dma_group
#undef fbc_dma_wait_group
#undef fbc_dma_wait
#undef fbc_l3_begin
#undef fbc_l3_allow
#undef fbc_l3_wait
#undef fbc_l3_happened

enum { MAXIMUM_COPIES = 4096, GARBAGE = 0xDB };

static struct {
    fbc_dma_copy copy;
    int in;
    uint32_t group;
} copies[MAXIMUM_COPIES];
static uint32_t copies_under_way;
static uint32_t open_group;
static uint32_t late_allowed;

void fbc_dma_in(const fbc_dma_copy *copy);
void fbc_dma_out(const fbc_dma_copy *copy);
uint32_t fbc_dma_group(void);
uint32_t fbc_dma_wait_group(uint32_t group);
void fbc_dma_wait(void);
void fbc_l3_begin(const fbc_l3_transfer *list);
void fbc_l3_allow(uint32_t count);
uint32_t fbc_l3_wait(uint32_t count);
uint32_t fbc_l3_happened(uint32_t count);

static void start(const fbc_dma_copy *copy, int in) {
    if (copies_under_way == MAXIMUM_COPIES) {
        abort();
    }
    copies[copies_under_way].copy = *copy;
    copies[copies_under_way].in = in;
    copies[copies_under_way].group = open_group;
    copies_under_way++;
    for (uint32_t line = 0; line < copy->lines; line++) {
        if (in) {
            memset((uint8_t *)copy->l1 + line * copy->line_bytes, GARBAGE, copy->line_bytes);
        } else {
            memset((uint8_t *)copy->l2 + line * copy->l2_stride, GARBAGE, copy->line_bytes);
        }
    }
}

void fbc_dma_in(const fbc_dma_copy *copy) {
    start(copy, 1);
}

void fbc_dma_out(const fbc_dma_copy *copy) {
    start(copy, 0);
}

uint32_t fbc_dma_group(void) {
    return open_group++;
}

static void finish_copies(int all, uint32_t group) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < copies_under_way; i++) {
        if (!all && copies[i].group != group) {
            copies[kept++] = copies[i];
        } else if (copies[i].in) {
            now_dma_in(&copies[i].copy);
        } else {
            now_dma_out(&copies[i].copy);
        }
    }
    copies_under_way = kept;
}

uint32_t fbc_dma_wait_group(uint32_t group) {
    finish_copies(0, group);
    return 0u;
}

void fbc_dma_wait(void) {
    finish_copies(1, 0u);
}

void fbc_l3_begin(const fbc_l3_transfer *list) {
    now_l3_allow(late_allowed);
    now_l3_begin(list);
    late_allowed = 0u;
}

void fbc_l3_allow(uint32_t count) {
    for (; late_allowed < count; late_allowed++) {
        const fbc_l3_transfer *now = &transfers[late_allowed];
        if (!now->write) {
            memset(l2_arena + now->l2, GARBAGE, now->bytes);
        }
    }
}

/* What was allowed may have happened or not; here every second look finds it. */
uint32_t fbc_l3_happened(uint32_t count) {
    static uint32_t looks;
    if (looks++ % 2u == 0u || count > late_allowed) {
        return 0u;
    }
    now_l3_allow(count);
    return 1u;
}

/* A wait for what was not allowed fails as on every platform. */
uint32_t fbc_l3_wait(uint32_t count) {
    now_l3_allow(count < late_allowed ? count : late_allowed);
    return now_l3_wait(count);
}
