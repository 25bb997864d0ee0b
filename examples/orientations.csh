#! /bin/tcsh -f
#
# Which of some orientations gives the strongest spot? Written for the C program; runs with either.
#
# Usage: orientations.csh [PROGRAM]        (default: $NANOBRAGG, or else nanoBragg)
#
# Leaves orient_N.bin, orient_N.img and orient_N_noise.img for each orientation in the working folder.
#
set nanoBragg = nanoBragg
if ( $?NANOBRAGG ) then
    set nanoBragg = "$NANOBRAGG"
endif
if ( $#argv > 0 ) set nanoBragg = "$1"
set here = `dirname "$0"`
set hkl = "$here/../golden/inputs/cro_1orc_2A.hkl"

set common = ( -cell 34.77 39.17 48.31 90 90 90 -N 10 -lambda 1 -distance 120 -detpixels 300 -pixel 0.3 -oversample 1 )

# read the structure factors once; the runs below find them in Fdump.bin
$nanoBragg -hkl "$hkl" $common -roi 0 1 0 1 -nonoise -nopgm >! setup.log
if ( $status ) exit 9

@ n = 0
set best = 0
set winner = ""
foreach rotx ( 0 30 )
    foreach rotz ( 5 35 65 )
        @ n = ( $n + 1 )
        $nanoBragg $common -misset $rotx 15 $rotz -mosaic 0.2 -mosaic_domains 4 -fluence 1e26 -seed $n \
            -floatfile orient_$n.bin -intfile orient_$n.img -noisefile orient_${n}_noise.img -nopgm \
            -noprogress >! orient_$n.log
        if ( $status ) exit 9
        set max = `grep max_I orient_$n.log | awk '{print $3}'`
        set photons = `awk '/photons on noise image/{print $1}' orient_$n.log`
        echo "${n}: misset $rotx 15 $rotz max_I $max photons $photons"
        set stronger = `echo "$max $best" | awk '{print ( $1 > $2 )}'`
        if ( $stronger ) then
            set best = $max
            set winner = $n
        endif
    end
end
echo "strongest: orient_${winner}.img, max_I $best"
