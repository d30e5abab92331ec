/* A host platform whose copies happen as late as they may, at the wait: until then what they write holds garbage. Finds
 * generated code that reads a tile before its copy was waited for, or writes into one that is still being copied. */
#define fbc_dma_in now_dma_in
#define fbc_dma_out now_dma_out
#define fbc_dma_wait now_dma_wait
#define fbc_l3_read now_l3_read
#define fbc_l3_wait now_l3_wait
#include "../platform/host/fbc_platform_host.c"
#undef fbc_dma_in
#undef fbc_dma_out
#undef fbc_dma_wait
#undef fbc_l3_read
#undef fbc_l3_wait

enum { MAXIMUM_COPIES = 4096, GARBAGE = 0xDB };

static struct {
    fbc_dma_copy copy;
    int in;
} copies[MAXIMUM_COPIES];
static uint32_t copies_under_way;

static struct {
    void *l2;
    uint32_t l3;
    uint32_t bytes;
} reads[MAXIMUM_COPIES];
static uint32_t reads_under_way;

void fbc_dma_in(const fbc_dma_copy *copy);
void fbc_dma_out(const fbc_dma_copy *copy);
void fbc_dma_wait(void);
void fbc_l3_read(void *l2, uint32_t l3, uint32_t bytes);
void fbc_l3_wait(void);

static void start(const fbc_dma_copy *copy, int in) {
    if (copies_under_way == MAXIMUM_COPIES) {
        abort();
    }
    copies[copies_under_way].copy = *copy;
    copies[copies_under_way].in = in;
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

void fbc_dma_wait(void) {
    for (uint32_t i = 0; i < copies_under_way; i++) {
        if (copies[i].in) {
            now_dma_in(&copies[i].copy);
        } else {
            now_dma_out(&copies[i].copy);
        }
    }
    copies_under_way = 0;
}

void fbc_l3_read(void *l2, uint32_t l3, uint32_t bytes) {
    if (reads_under_way == MAXIMUM_COPIES) {
        abort();
    }
    memset(l2, GARBAGE, bytes);
    reads[reads_under_way].l2 = l2;
    reads[reads_under_way].l3 = l3;
    reads[reads_under_way].bytes = bytes;
    reads_under_way++;
}

void fbc_l3_wait(void) {
    for (uint32_t i = 0; i < reads_under_way; i++) {
        now_l3_read(reads[i].l2, reads[i].l3, reads[i].bytes);
    }
    reads_under_way = 0;
}
