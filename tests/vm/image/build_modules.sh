#!/bin/sh
# Builds what a Raspberry Pi has and a virtual machine lacks, from the kernel's own simulators:
#   gpio_sim_pi.ko  gpio-sim, which Debian does not ship, made to behave as a Pi's header (pi_lines.c)
#   i2c_ads1115.ko  i2c-stub, whose conversion register follows the input and range that the config register chose
# usage, in the chroot:  build_modules.sh FOLDER_OF_THIS_FILE
# needs: linux-headers-amd64 linux-source-6.12 make gcc xz-utils
set -eu
here=$1
kernel=$(ls /lib/modules | tail -n 1)
build=$(mktemp -d)
tar -xJf /usr/src/linux-source-6.12.tar.xz -C "$build" --strip-components=1 \
    linux-source-6.12/drivers/gpio linux-source-6.12/kernel/irq linux-source-6.12/drivers/i2c/i2c-stub.c
mkdir "$build/m"
cp "$build"/drivers/gpio/gpio-sim.c "$build"/drivers/gpio/*.h "$build/kernel/irq/irq_sim.c" \
    "$build/drivers/i2c/i2c-stub.c" "$here/pi_lines.c" "$build/m/"
cd "$build/m"

change() { # change FILE SED-SCRIPT: it has to change one place
    sed -i.before "$2" "$1"
    [ "$(diff "$1.before" "$1" | grep -c '^>')" -le 3 ] && ! cmp -s "$1.before" "$1" || {
        echo "build_modules.sh: this kernel's $1 is another one; look at: $2" >&2
        exit 1
    }
}
# irq_to_desc is not exported to modules; generic_handle_irq does the same here
change irq_sim.c 's/handle_simple_irq(irq_to_desc(irqnum));/generic_handle_irq(irqnum);/'
maps='DECLARE_BITMAP(held_map, GPIO_SIM_NGPIO_MAX); DECLARE_BITMAP(outside_map, GPIO_SIM_NGPIO_MAX); DECLARE_BITMAP(bias_map, GPIO_SIM_NGPIO_MAX);'
change gpio-sim.c "s/^\tstruct gpio_chip gc;\$/&\n\t$maps/"
change gpio-sim.c 's/^static int gpio_sim_dev_match_fwnode(/#include "pi_lines.c"\n\n&/'
change gpio-sim.c 's/^\tgc->free = gpio_sim_free;$/&\n\tpi_take_over(chip);/'
change gpio-sim.c 's/^\tret = gpio_sim_apply_pull(chip, line_attr->offset, pull);$/\tret = pi_pull(chip, line_attr->offset, pull);/'
change gpio-sim.c 's/^static ssize_t gpio_sim_sysfs_pull_store(/static int pi_pull(struct gpio_sim_chip *, unsigned int, int);\n\n&/'
change gpio-sim.c '0,/^\t\[1\]\t= "pull-up",$/s//&\n\t[2]\t= "floating",/'

# Words 0x40 to 0x7f hold what is converted for each MUX and PGA (ADS1115 data sheet, 8.1.3); SMBus turns the bytes round.
change i2c-stub.c 's/^\t\t\tdata->word = \*wordp;$/\t\t\tdata->word = command ? *wordp : chip->words[0x40 + (swab16(chip->words[1]) >> 9 \& 0x3f)];/'
change i2c-stub.c 's/^\tif (!chip)$/\tif (!chip || silent)/'
change i2c-stub.c 's/^static unsigned long functionality = .*$/static bool silent;\nmodule_param(silent, bool, 0644);\n\n&/'
mv i2c-stub.c i2c_ads1115.c

printf 'obj-m += gpio_sim_pi.o i2c_ads1115.o\ngpio_sim_pi-y := gpio-sim.o irq_sim.o\n' >Makefile
make -s -C "/lib/modules/$kernel/build" "M=$build/m" modules
install -D -m 644 -t "/lib/modules/$kernel/updates" gpio_sim_pi.ko i2c_ads1115.ko
depmod "$kernel"
rm -rf "$build"
